"""The groups `trainer` and `early_stopping` against Lightning's own signatures: nothing may drift unseen."""

import inspect

from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import EarlyStopping

from discerna.settings.build import hints
from discerna.settings.early_stopping import ELSEWHERE, EarlyStoppingSettings
from discerna.settings.trainer import NOT_CONFIGURABLE, TrainerSettings

OURS = {"tf32", "channels_last", "fused", "compile", "threads", "batch_finder"}


def arguments(cls: type) -> set[str]:
    return set(inspect.signature(cls.__init__).parameters) - {"self"}


def test_every_trainer_argument_is_a_setting_or_has_a_reason():
    assert (set(hints(TrainerSettings)) - OURS) | set(NOT_CONFIGURABLE) == arguments(Trainer)
    assert not set(hints(TrainerSettings)) & set(NOT_CONFIGURABLE)


def test_every_early_stopping_argument_is_a_setting_or_elsewhere():
    ours = set(hints(EarlyStoppingSettings)) - {"name", "rule", "cooldown"}
    assert ours | set(ELSEWHERE) == arguments(EarlyStopping)
    assert not ours & set(ELSEWHERE)
