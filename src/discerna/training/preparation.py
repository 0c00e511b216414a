"""All that a training needs before its first step: data, choices, network, machine, batches."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from discerna import machine as machines
from discerna.directories.model_dir import ModelDirectory, ModelSpec
from discerna.directories.old_transforms import read_old_transforms
from discerna.directories.run_folder import RunFolder
from discerna.errors import SettingsError
from discerna.images.cache_choice import choose_cache
from discerna.machine import Choice, Machine
from discerna.networks.architectures import find
from discerna.networks.assembly import check_tensors, create_untrained, has_batch_norm, network_for_labels
from discerna.networks.input_sizes import default_preprocessing
from discerna.networks.registration import own_names
from discerna.networks.skeletons import check_runs
from discerna.progress import SILENT, Progress
from discerna.ranks import is_first_process
from discerna.recipes.auto import choose, waste
from discerna.recipes.facts import gather
from discerna.recipes.resolution import AUTO, resolve, with_preprocessing
from discerna.settings.build import plain
from discerna.settings.preprocessing import changed
from discerna.settings.train import TrainSettings
from discerna.training.classifier import Classifier
from discerna.training.data_module import PictureData
from discerna.training.decisions import Decisions, cut_smaller
from discerna.training.parts import Parts
from discerna.training.sameness import check_same, is_extended
from discerna.training.sharding import refuse_what_cannot_be_sharded
from discerna.training.start_note import shown_value, tell_start
from discerna.training.tried import with_found_pieces, with_found_rate, with_tried_compiler

LOG = logging.getLogger("discerna")


@dataclass(frozen=True)
class Preparation:
    """What `prepare` has made ready."""

    settings: TrainSettings
    """Without any `auto` that concerns learning."""
    choices: dict[str, Choice]
    """What was chosen for it."""
    machine: Machine
    data: PictureData
    spec: ModelSpec
    """Of the model that will come out."""
    classifier: Classifier
    directory: ModelDirectory | None
    """That of the model that training began from."""
    began: float


def prepare(settings: TrainSettings, folder: RunFolder, began: float, progress: Progress) -> Preparation:
    """Open the data, choose, make the network; `began` is when the command did."""
    decided = Decisions.read(folder)
    settings = cut_smaller(settings, decided.pieces)
    processes = machines.processes(settings.trainer)
    directory = given_directory(settings)
    data = PictureData.open(
        settings, folder, progress
    )  # before weights are fetched or made, which may take long
    _check_monitor(settings, data)
    if processes.value == 1 or is_first_process():
        check_same(folder, settings, data, directory)
    if is_extended(folder, settings):  # planned anew, they would shrink again
        settings = replace(settings, start_size=None)
    settings, choices = resolved(settings, data, directory)
    machine = machines.choose(settings.trainer, settings.loading, processes)
    refuse_what_cannot_be_sharded(settings, machine)
    network, spec = _network(settings, directory, data, progress)
    settings = with_preprocessing(settings, spec.preprocessing)
    choices = {**choices, **_from_old_transforms(settings), **_decided(decided)}
    _check_sizes(settings, spec)
    machine = _for_network(settings, spec, network, machine)
    data.cache, cache = choose_cache(settings.loading)
    parts = Parts(network, spec, data, machine)
    if settings.trainer.batch_finder and decided.pieces is None:
        decided = with_found_pieces(parts, settings, decided, folder, progress)
        settings = cut_smaller(settings, decided.pieces)
        choices |= _decided(decided)
    if machine.compile.value == AUTO:
        decided = with_tried_compiler(parts, settings, decided, folder)
        machine = replace(machine, compile=Choice(decided.compile, decided.compile_reason))
        parts = replace(parts, machine=machine)
    tell_start(settings, data, spec, machine, parts.plan(settings), choices, cache)
    if settings.learning_rate == "find" and not settings.plan:
        decided = with_found_rate(parts, settings, decided, folder)
        assert decided.learning_rate is not None
        found = Choice(decided.learning_rate, decided.reason)
        LOG.info("learning_rate %g: %s", found.value, found.reason)
        settings = replace(settings, learning_rate=found.value)
        choices["learning_rate"] = found
    return Preparation(
        settings=settings,
        choices=choices,
        machine=machine,
        data=data,
        spec=spec,
        classifier=parts.classifier(settings, began),
        directory=directory,
        began=began,
    )


def _decided(decided: Decisions) -> dict[str, Choice]:
    """What was decided before a restart, which is told as what a recipe chose is."""
    if decided.pieces is None:
        return {}
    return {"trainer.accumulate_grad_batches": Choice(decided.pieces, decided.pieces_reason)}


def again(ready: Preparation, decided: Decisions) -> Preparation:
    """The same with a fresh network and as many pieces as decided, for a training that starts once more."""
    settings = cut_smaller(ready.settings, decided.pieces)
    network, spec = _network(settings, ready.directory, ready.data, SILENT)
    classifier = Parts(network, spec, ready.data, ready.machine).classifier(settings, ready.began)
    choices = {**ready.choices, **_decided(decided)}
    return replace(ready, settings=settings, choices=choices, classifier=classifier)


def _network(
    settings: TrainSettings, directory: ModelDirectory | None, data: PictureData, progress: Progress
) -> tuple[nn.Module, ModelSpec]:
    assert settings.random_seed is not None
    spec, weights = _starting_weights(settings, directory, progress)
    network, spec = network_for_labels(
        spec,
        weights,
        data.labels,
        random_seed=settings.random_seed,
        image_size=_typed(settings.image_size),
        where=directory.where if directory else f"model={settings.model}",
    )
    if directory is None:
        return network, spec
    # After image_size, which scales what is not typed.
    preprocessing = changed(
        spec.preprocessing,
        fit=_typed(settings.fit),
        resize=_typed(settings.resize),
        interpolation=_typed(settings.interpolation),
        mean=_typed(settings.mean),
        std=_typed(settings.std),
        grayscale=_typed(settings.grayscale),
        border=_typed(settings.border),
    )
    return network, replace(spec, preprocessing=preprocessing)


def given_directory(settings: TrainSettings) -> ModelDirectory | None:
    """The model directory of the settings, checked; None where they name a network."""
    if not settings.model_is_directory:
        find(settings.model, "model")
        return None
    directory = ModelDirectory.open(Path(settings.model), setting="model")
    check_tensors(directory)
    if directory.spec.state == "trained":
        LOG.info("model is trained already: training goes on from its weights")
    return directory


def _check_monitor(settings: TrainSettings, data: PictureData) -> None:
    if settings.monitor == "valid_top5" and len(data.labels) <= 5:
        raise SettingsError(
            "a figure that means nothing here",
            where="monitor=valid_top5",
            accepted=f"with {len(data.labels)} labels the answer is always among the first five",
            remedy="use monitor=valid_loss or valid_accuracy",
        )


def resolved(
    settings: TrainSettings, data: PictureData, directory: ModelDirectory | None
) -> tuple[TrainSettings, dict[str, Choice]]:
    """The settings without `auto`, and what was chosen for it."""
    if directory is None:
        architecture = find(settings.model, "model")
        own_size, fixed = default_preprocessing(architecture).size, architecture.size_argument is not None
        facts = gather(settings, data.train, data.valid, None, own_size, fixed)
    else:
        spec = directory.spec
        fixed = find(spec.network).size_argument is not None
        facts = gather(settings, data.train, data.valid, spec, spec.preprocessing.size, fixed)
    if settings.image_size == AUTO and (told := waste(facts)):
        LOG.info("%s", told)
    return resolve(settings, choose(facts, settings))


def _from_old_transforms(settings: TrainSettings) -> dict[str, Choice]:
    """What the settings have of an old transformation, which is told as what a recipe chose is."""
    if settings.transforms is None:
        return {}
    old = read_old_transforms(settings.transforms)
    for note in old.notes:
        LOG.info("transforms: %s", note)
    values, choices = plain(settings), {}
    for key, (value, reason) in old.settings.items():
        group, _, leaf = ("augmentation.name" if key == "augmentation" else key).rpartition(".")
        found = (values[group] if group else values)[leaf]
        if found == value:
            choices[key] = Choice(value, reason)
        else:
            LOG.info("transforms: %s is %s, not %s (%s)", key, shown_value(found), shown_value(value), reason)
    return choices


def _starting_weights(
    settings: TrainSettings, directory: ModelDirectory | None, progress: Progress
) -> tuple[ModelSpec, dict[str, Tensor]]:
    assert settings.random_seed is not None
    if directory is not None:
        return directory.spec, directory.load_weights()
    return create_untrained(
        settings.model,
        pretrained=settings.pretrained,
        arguments=settings.arguments,
        random_seed=settings.random_seed,
        image_size=_typed(settings.image_size),
        fit=_typed(settings.fit),
        resize=_typed(settings.resize),
        interpolation=_typed(settings.interpolation),
        mean=_typed(settings.mean),
        std=_typed(settings.std),
        grayscale=_typed(settings.grayscale),
        border=_typed(settings.border),
        setting="model",
        progress=progress,
    )


def _typed(value: Any) -> Any:
    """What the user typed; None where he left `auto`, which is then the model's own."""
    return None if value == AUTO else value


def _check_sizes(settings: TrainSettings, spec: ModelSpec) -> None:
    """Refuse a first picture size that the network cannot take."""
    start, full = settings.start_size, spec.preprocessing.size
    if not isinstance(start, int) or start == full:
        return
    if start > full:
        raise SettingsError(
            "the pictures would shrink",
            where=f"start_size={start}",
            accepted=f"less than image_size={full}",
            remedy="use a smaller start_size, or null",
        )
    architecture = find(spec.network)
    if architecture.size_argument:
        raise SettingsError(
            "the network is made for one picture size",
            where=f"start_size={start}",
            accepted=f"{spec.network} takes {full} only",
            remedy="use start_size=null",
        )
    check_runs(architecture, spec.arguments, start)


def _for_network(settings: TrainSettings, spec: ModelSpec, network: nn.Module, machine: Machine) -> Machine:
    """The choices that depend on the network."""
    if machine.processes.value > 1 and not has_batch_norm(network):
        none = Choice(False, "the network has no batch normalisation")
        machine = replace(machine, sync_batchnorm=none)
    if settings.trainer.channels_last == "auto" and spec.network in own_names():
        reason = "a network of your own may flatten by view, which fails in that layout"
        return replace(machine, channels_last=Choice(False, reason))
    return machine
