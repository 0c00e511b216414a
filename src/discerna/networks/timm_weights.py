"""timm's pretrained weights: chosen by tag, taken from the cache of the Hugging Face hub or downloaded."""

from __future__ import annotations

import importlib
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from discerna.errors import SettingsError
from discerna.networks import timm_networks
from discerna.networks.downloads import cached_or_downloaded, failed, named_hash, probe
from discerna.networks.timm_networks import PREFIX, TimmName
from discerna.progress import Progress
from discerna.wording import shown

LOG = logging.getLogger("discerna")

PROBE_SECONDS = 1.5
"""The hub's own client tries for 45 seconds and more where there is no network."""

FILES = ("model.safetensors", "pytorch_model.bin")
"""What the hub's folders call the weights, the better first."""

Adapt = Callable[[Mapping[str, Tensor], nn.Module], Mapping[str, Tensor]]


@dataclass(frozen=True)
class TimmWeights:
    """Weights that timm knows of."""

    timm: TimmName
    hub: str
    """The folder of the Hugging Face hub that has them; empty where there is none."""
    files: tuple[str, ...]
    url: str
    """The address of the file, where the hub has none."""
    licence: str

    @property
    def name(self) -> str:
        """As timm writes it."""
        return str(self.timm)

    def described(self) -> dict[str, str]:
        """What the model directory tells of them."""
        file = self.hub or self.url.rpartition("/")[2]
        return {"name": self.name, "file": file, "licence": self.licence}

    def fetched(self, progress: Progress) -> Path:
        """The file, which may have to be downloaded."""
        if self.hub:
            return _from_hub(self.hub, self.files, progress)
        return cached_or_downloaded(self.url, progress, PROBE_SECONDS)


def tagged(name: TimmName, pretrained: bool | str) -> TimmName:
    """The name with the tag of the weights that the setting `pretrained` asks for."""
    if pretrained is True:
        return name if name.tag else TimmName(name.network, timm_networks.default_tag(name))
    where = f"pretrained={shown(str(pretrained))}"
    tag = str(pretrained).removeprefix(f"{name.network}.")
    if name.tag not in ("", tag):
        raise SettingsError(
            "two names of weights",
            where=where,
            accepted=f"the network is {PREFIX}{name}",
            remedy=f"use pretrained=true, or the network {PREFIX}{name.network}",
        )
    if tag not in timm_networks.tags(name):
        raise timm_networks.unknown_tag(TimmName(name.network, tag), where)
    return TimmName(name.network, tag)


def described(name: TimmName) -> TimmWeights:
    """The weights of a name with its tag; a SettingsError where timm has none."""
    config = timm_networks.config(name)
    hub, url = str(config.get("hf_hub_id") or ""), str(config.get("url") or "")
    if not hub and not url:
        raise SettingsError(
            "there are no pretrained weights",
            where=f"{PREFIX}{name}",
            accepted=_others(name),
            remedy="use pretrained=false, or pass pretrained=FILE, a .safetensors or .pth file",
        )
    if not hub and not named_hash(url.rpartition("/")[2]):
        raise SettingsError(
            "the weights cannot be checked",
            where=f"{PREFIX}{name}",
            accepted=f"{url} has no digits of a SHA-256 in its name",
            remedy="download it, save its tensors as .safetensors, and pass pretrained=FILE",
        )
    own_name = config.get("hf_hub_filename")
    licence = config.get("license")
    return TimmWeights(
        timm=name,
        hub=hub,
        files=(str(own_name),) if own_name else FILES,
        url=url,
        licence=str(licence) if licence not in (None, "", "unknown") else "not known: see the model card",
    )


def _others(name: TimmName) -> str:
    timm = timm_networks.package(PREFIX + str(name))
    there = [other.partition(".")[2] for other in timm.list_pretrained(name.network)]
    return f"timm has {', '.join(there)}" if there else f"timm has none of {name.network}"


def _from_hub(hub: str, files: tuple[str, ...], progress: Progress) -> Path:
    """The file of the hub, from its cache where it lies there; failure is told within two seconds."""
    import huggingface_hub
    from huggingface_hub import constants
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    repository, _, revision = hub.partition("@")
    for file in files:
        cached = huggingface_hub.try_to_load_from_cache(repository, file, revision=revision or None)
        if isinstance(cached, str):
            return Path(cached)
    addresses = [f"{constants.ENDPOINT}/{repository}/resolve/{revision or 'main'}/{file}" for file in files]
    if constants.HF_HUB_OFFLINE:
        raise failed(addresses[0], OSError("HF_HUB_OFFLINE is set, and the file is not in the cache"))
    probe(f"{constants.ENDPOINT}/api/models/{repository}", PROBE_SECONDS, told=addresses[0])
    missing: Exception | None = None
    for file, address in zip(files, addresses, strict=True):
        LOG.info("downloading %s of %s to %s", file, repository, constants.HF_HUB_CACHE)
        try:
            with _without_bars(), progress.task(f"downloading {file}", 0):
                return Path(huggingface_hub.hf_hub_download(repository, file, revision=revision or None))
        except LocalEntryNotFoundError as error:  # the line broke
            raise failed(address, error) from error
        except EntryNotFoundError as error:
            missing = missing or error
        except Exception as error:  # the hub's client and what it stands on raise all sorts
            raise failed(address, error) from error
    assert missing is not None
    raise failed(addresses[0], missing) from missing


@contextmanager
def _without_bars() -> Iterator[None]:
    """Without the hub's own bars: what is printed is printed by the console alone."""
    utils: Any = importlib.import_module("huggingface_hub.utils")
    shows = not utils.are_progress_bars_disabled()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns where the environment decides
        if shows:
            utils.disable_progress_bars()
        try:
            yield
        finally:
            if shows:
                utils.enable_progress_bars()


def conversion(name: TimmName, arguments: dict[str, Any]) -> Adapt:
    """How timm turns a file of weights into the network's own: names of old, tables for another size."""
    # Each network hands its converter to timm's loader, under no name that all share; so the loader is
    # taken by what listens only. timm calls the converter with one argument or with two.
    builder: Any = importlib.import_module("timm.models._builder")
    heard: list[Any] = []
    original = builder.load_pretrained
    builder.load_pretrained = lambda *_, filter_fn=None, **__: heard.append(filter_fn)
    try:
        timm_networks.skeleton(name, 2, arguments, pretrained=True)
    finally:
        builder.load_pretrained = original
    convert = heard[0] if heard else None

    def adapt(state: Mapping[str, Tensor], network: nn.Module) -> Mapping[str, Tensor]:
        if convert is None:
            return state
        with timm_networks.quiet():
            try:
                converted = convert(dict(state), network)
            except TypeError:
                converted = convert(dict(state))
        assert isinstance(converted, Mapping)
        return converted

    return adapt
