"""The group `trainer`: where and how the training runs, by Lightning's own names."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any, Literal

from discerna.errors import SettingsError
from discerna.settings.devices import Devices, refuse_numbers_of_cpus
from discerna.settings.ranges import AtLeast, Between

Count = Annotated[int, AtLeast(1)]
Share = Annotated[float, Between(0, 1)]

NOT_CONFIGURABLE = {
    "max_epochs": "the setting epochs",
    "num_nodes": "as many as torchrun or srun has started the processes on (docs/several-machines.md)",
    "logger": "the group logger",
    "callbacks": "the group callbacks",
    "default_root_dir": "the run folder, which follows from output",
    "plugins": "objects, not values; checkpoints and precision are chosen here",
    "enable_checkpointing": "the best epoch is found through checkpoints, so they are always on",
    "enable_progress_bar": "discerna draws its own on a terminal",
    "use_distributed_sampler": "the data module shares the pictures out itself, each exactly once",
    "limit_test_batches": "train has no test loop; see discerna evaluate",
    "limit_predict_batches": "train has no predict loop; see discerna score",
    "overfit_batches": "limit_train_batches does the same with keyed shuffling",
    "barebones": "it switches off the checkpoints that the best epoch needs",
    "fast_dev_run": "it writes no model; epochs=1 trainer.limit_train_batches=1 tries a run quickly",
    "enable_autolog_hparams": "settings.json in the run folder has them all",
    "model_registry": "it uploads to a service of Lightning's maker",
    "reload_dataloaders_every_n_epochs": "the loaders make themselves anew each epoch",
}
"""Arguments of Lightning's Trainer that are no settings, each with the reason."""


@dataclass(frozen=True, kw_only=True)
class TrainerSettings:
    """Lightning's Trainer arguments that are plain data, and ours beside them.

    Ours are `tf32`, `channels_last`, `fused`, `compile`, `threads` and `batch_finder`.
    """

    accelerator: Literal["auto", "cpu", "gpu", "cuda", "mps"]
    devices: Devices
    strategy: Literal["auto", "ddp", "fsdp"]
    precision: Literal["auto", "32-true", "bf16-mixed", "16-mixed", "64-true", "bf16-true", "16-true"]
    tf32: Literal["auto"] | bool
    channels_last: Literal["auto"] | bool
    fused: Literal["auto"] | bool
    compile: Literal["auto"] | bool | Literal["default", "reduce-overhead", "max-autotune"]
    threads: Literal["auto"] | Count
    accumulate_grad_batches: Count
    batch_finder: bool
    gradient_clip_val: Literal["auto"] | Annotated[float, AtLeast(0)] | None
    gradient_clip_algorithm: Literal["norm", "value"] | None
    sync_batchnorm: Literal["auto"] | bool
    deterministic: bool | Literal["warn"]
    benchmark: bool | None
    detect_anomaly: bool
    inference_mode: bool
    min_epochs: Count | None
    min_steps: Count | None
    max_steps: Annotated[int, AtLeast(-1)]
    max_time: str | dict[str, Any] | None
    limit_train_batches: Count | Share | None
    limit_val_batches: Count | Share | None
    val_check_interval: Count | Share | None
    check_val_every_n_epoch: Count | None
    num_sanity_val_steps: Annotated[int, AtLeast(0)]
    log_every_n_steps: Count
    enable_model_summary: bool
    profiler: Literal["simple", "advanced", "pytorch"] | None

    @property
    def longest(self) -> timedelta | None:
        """What `max_time` means; ValueError or TypeError where it means nothing."""
        told = self.max_time
        if told is None:
            return None
        if isinstance(told, dict):
            return timedelta(**told)
        days, hours, minutes, seconds = (int(part) for part in told.split(":"))
        return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)

    def __post_init__(self) -> None:
        try:
            _ = self.longest
        except (ValueError, TypeError, OverflowError):
            raise SettingsError(
                "a time that cannot be read",
                where=f"trainer.max_time={self.max_time}",
                accepted="DAYS:HOURS:MINUTES:SECONDS, as 00:12:00:00, or a mapping such as {hours: 12}",
            ) from None
        refuse_numbers_of_cpus(self.devices, self.accelerator, "trainer.devices")
        if self.gradient_clip_algorithm and self.gradient_clip_val is None:
            raise SettingsError(
                "a setting without effect",
                where=f"trainer.gradient_clip_algorithm={self.gradient_clip_algorithm}",
                accepted="it needs trainer.gradient_clip_val",
                remedy="set trainer.gradient_clip_val=1.0",
            )
        if self.batch_finder and self.accumulate_grad_batches > 1:
            raise SettingsError(
                "the pieces are typed and to be found",
                where=f"trainer.batch_finder=true trainer.accumulate_grad_batches={self.accumulate_grad_batches}",
                accepted="one of the two",
                remedy="leave out trainer.accumulate_grad_batches",
            )
        if self.batch_finder and isinstance(self.limit_train_batches, float):
            raise SettingsError(
                "a share of an epoch's batches cannot be cut into pieces",
                where=f"trainer.batch_finder=true trainer.limit_train_batches={self.limit_train_batches}",
                accepted="a number of batches",
                remedy="use trainer.limit_train_batches=N, or leave out trainer.batch_finder",
            )
        if self.limit_train_batches == 0 or self.limit_val_batches == 0 or self.max_steps == 0:
            raise SettingsError(
                "no step would run",
                where="trainer.limit_train_batches, limit_val_batches or max_steps = 0",
                accepted="numbers above 0, or -1 for max_steps without a limit",
                remedy="leave the setting out",
            )
