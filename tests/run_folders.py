"""Run folders as a training leaves them, without training."""

import json
from pathlib import Path
from typing import Any

from discerna.composition import compose
from discerna.directories.run_folder import RunFolder, write_json

_settings: dict[tuple[Any, ...], Any] = {}


def write_run(
    path: Path,
    *,
    state: str = "finished",
    accuracy: float | None = None,
    learning_rate: float = 0.001,
    optimizer: str = "auto",
    experiment_name: str = "default",
    began: str | None = None,
    fingerprint: str = "a" * 64,
) -> Path:
    given = (learning_rate, optimizer, experiment_name)
    if given not in _settings:
        _settings[given] = compose(
            "train",
            ["model=tiny", "train_data=t", "valid_data=v", f"learning_rate={learning_rate}",
             f"optimizer={optimizer}", f"experiment_name='{experiment_name}'"],
        )  # fmt: skip
    folder, _ = RunFolder.begin(path, _settings[given])
    folder.log.write_text("told\n")
    folder.metrics.write_text("epoch,train_loss,valid_loss\n1,0.7,0.5\n")
    write_json(folder.pictures, {"valid_data": {"found": 3, "used": 3, "fingerprint": fingerprint}})
    told: dict[str, Any] = {}
    if accuracy is not None:
        told = {
            "figures": {"accuracy": accuracy, "loss": 1 - accuracy},
            "best_epoch": 1,
            "epochs_trained": 1,
            "best": {"epoch": 1.0, "valid_loss": 0.5},
        }
    folder.end(state, "all epochs trained" if state == "finished" else "why", **told)  # type: ignore[arg-type]
    assert folder.lock is not None
    folder.lock.release()
    if began:
        status = json.loads(folder.status_file.read_text())
        write_json(folder.status_file, {**status, "began": began, "ended": began})
    return path


def best_checkpoint(run: Path) -> Path:
    """The best weights that a run has kept."""
    return max((run / "checkpoints").glob("best-*.ckpt"))


def last_checkpoint(run: Path) -> Path:
    """The newest point from which a run can go on."""
    return max((run / "checkpoints").glob("step-*.ckpt"))
