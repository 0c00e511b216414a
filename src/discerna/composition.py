"""YAML + overrides -> settings, once. Below this door no DictConfig exists.

Hydra composes the values; `settings.build` checks them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from discerna import resumption
from discerna.directories.old_transforms import read_old_transforms
from discerna.errors import DiscernaError, SettingsError
from discerna.overrides import PACKAGED, Source, available_groups, literal, prepare_overrides
from discerna.registry.resolution import is_reference, resolved
from discerna.settings.build import absolute, build, hints, nearest, takes_model
from discerna.settings.verbs import VERBS

VERSION_BASE = "1.3"
"""Hydra's behaviour that we rely on; one constant, because Hydra 1.4 renames it."""

CONF = "pkg://discerna.conf"


def compose(verb: str, overrides: Sequence[str], source: Source = PACKAGED) -> Any:
    """The checked settings of `verb`; raises one SettingsError that tells every fault."""
    prepared = prepare_overrides(verb, overrides, source)
    return compose_prepared(verb, dict(text.split("=", 1) for text in prepared), source)


def compose_prepared(
    verb: str,
    prepared: Mapping[str, str],
    source: Source,
    registered: dict[tuple[str, str | None], Path] | None = None,
    of_sweep: bool = False,
) -> Any:
    """The checked settings of `verb` from overrides that went through `prepare_overrides`.

    `registered` remembers which directories registered models were found to be; `of_sweep`: they are a job's.
    """
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    config = _config(verb, [f"{key}={value}" for key, value in prepared.items()], source)
    try:
        values = OmegaConf.to_container(config, resolve=True, throw_on_missing=False)
    except OmegaConfBaseException as error:
        raise SettingsError("a reference cannot be resolved", where=_first_line(error)) from None
    assert isinstance(values, dict)
    if verb == "train" and values.get("resume") not in (None, resumption.AUTO):
        values = _of_run(values, prepared)
    settings = build(VERBS[verb].settings, {str(key): value for key, value in values.items()})
    settings = _with_registered_model(settings, {} if registered is None else registered)
    typed = {key.lstrip("+"): value for key, value in prepared.items()}
    _refuse_idle(settings, typed)
    if not of_sweep:
        _refuse_without_sweep(typed)
    return settings


def _of_run(values: Mapping[Any, Any], prepared: Mapping[str, str]) -> dict[str, Any]:
    """The settings of the run that `resume` means, with what is typed in its place."""
    run = resumption.run_of(str(values["resume"]))
    typed = {key.lstrip("+"): value for key, value in prepared.items()}
    # Who goes on with a single job of a sweep wants it to come to its end.
    return {
        **resumption.with_typed(resumption.stored_settings(run), values, typed),
        "resume": str(run),
        "early_termination": {"name": "none"},
    }


def _with_registered_model(settings: Any, known: dict[tuple[str, str | None], Path]) -> Any:
    """The settings with the directory of a registered model in its place, so that all below sees the same one."""
    if not takes_model(hints(type(settings)).get("model")) or not is_reference(settings.model):
        return settings
    named = (str(settings.model), settings.registry)
    if named not in known:
        known[named] = resolved(*named)
    return replace(settings, model=type(settings.model)(known[named]))


def _config(verb: str, prepared: Sequence[str], source: Source, whole: bool = False) -> Any:
    """Hydra's DictConfig of `verb`; with `whole`, Hydra's own node is in it."""
    from hydra import compose as hydra_compose
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    with _hydra(source):
        try:
            name = source.config_name or VERBS[verb].module
            config = hydra_compose(name, list(prepared), return_hydra_config=whole)
            if isinstance(old := config.get("transforms"), str):
                first = _from_old_transforms(old, prepared)
                config = hydra_compose(name, [*first, *prepared], return_hydra_config=whole)
            return config
        except YAMLError as error:
            told = " ".join(str(error).split())
            raise SettingsError("a YAML file cannot be read", where=told) from None
        except (HydraException, OmegaConfBaseException) as error:
            raise _composition_error(error, source) from None


def _from_old_transforms(path: str, prepared: Sequence[str]) -> list[str]:
    """Overrides for what an old transformation says, but for what is typed."""
    typed = {text.partition("=")[0].lstrip("+") for text in prepared}
    groups = ("augmentation",)
    return [
        f"{'' if key in groups else '++'}{key}={value if key in groups else literal(value)}"
        for key, value in read_old_transforms(absolute(path)).besides(typed).items()
    ]


def as_yaml(verb: str, overrides: Sequence[str], source: Source, part: str, resolve: bool) -> str:
    """What `--cfg job|hydra|all` prints."""
    from omegaconf import OmegaConf, open_dict

    config = _config(verb, prepare_overrides(verb, overrides, source), source, whole=part != "job")
    if part == "hydra":
        with open_dict(config):
            config = OmegaConf.create({"hydra": config.hydra})
    return str(OmegaConf.to_yaml(config, resolve=resolve)).rstrip()


def _refuse_idle(settings: Any, typed: Mapping[str, str]) -> None:
    """Refuse what was typed and would change nothing."""
    stopping = getattr(settings, "early_stopping", None)
    if stopping is not None and stopping.name == "none" and "patience" in typed:
        raise SettingsError(
            "a setting without effect",
            where=f"patience={typed['patience']}",
            accepted="early_stopping=none never stops early",
            remedy="leave out one of the two",
        )
    if getattr(settings, "from_", None) is not None and "random_seed" in typed:
        raise SettingsError(
            "a setting without effect with from=",
            where=f"random_seed={typed['random_seed']}",
            accepted="an old model directory has its weights already",
            remedy="leave it out; train takes a random_seed",
        )


def _refuse_without_sweep(typed: Mapping[str, str]) -> None:
    for key, value in typed.items():
        if key.partition(".")[0] in ("sweep", "space", "early_termination"):
            raise SettingsError(
                "a setting of sweeps",
                where=f"{key}={value}",
                accepted="this is a single training",
                remedy="add -m for a sweep, or leave it out",
            )


def _composition_error(error: Exception, source: Source) -> DiscernaError:
    """Hydra's and OmegaConf's complaint about a YAML file, in one line."""
    missing = getattr(error, "missing_cfg_file", None)
    if missing:
        group, _, choice = str(missing).rpartition("/")
        choices = available_groups(source).get(group, [])
        return SettingsError(
            "no such config file",
            where=f"{missing}.yaml",
            accepted=f"{group} has {', '.join(choices)}" if choices else "",
            remedy=nearest(choice, choices),
        )
    return SettingsError("the configuration cannot be composed", where=_first_line(error))


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__


@contextmanager
def _hydra(source: Source) -> Iterator[None]:
    """Hydra set up for conf/ and the user's directory, whatever the surrounding program does with Hydra itself."""
    from hydra import version

    # Public `initialize` takes no second directory, and its search path override is read too late to find a primary
    # file there. These two are what `hydra.main --config-dir` calls; the pin <1.4 and a test hold them.
    from hydra._internal.hydra import Hydra
    from hydra._internal.utils import create_config_search_path
    from hydra.core.config_search_path import SearchPathQuery
    from hydra.core.global_hydra import GlobalHydra
    from hydra.core.utils import JobRuntime

    path = create_config_search_path(CONF)
    if source.config_dir is not None:
        path.prepend("--config-dir", f"file://{source.config_dir}", SearchPathQuery(provider="schema"))
    # A user's own Hydra application holds the globals; they are lent back unchanged.
    outer, base = GlobalHydra.instance().hydra, version.getbase()
    names = dict(JobRuntime.instance().conf)
    GlobalHydra.instance().clear()
    version.setbase(VERSION_BASE)
    try:
        Hydra.create_main_hydra2("discerna", path)
        yield
    finally:
        GlobalHydra.instance().hydra = outer
        if names:
            JobRuntime.instance().set("name", names["name"])
        if outer is not None and base != version.getbase():
            version.setbase(str(base))
