"""What passes before the first step, each in a process that ends there."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from benches.changed_at_import import at_import
from benches.speed_network import SIDE, make_network


def libraries(folder: Path) -> dict[str, float]:
    """What no start can be without: the libraries and the network."""
    import lightning.pytorch
    import torch
    import torchvision

    make_network()
    assert all((lightning.pytorch, torch, torchvision))
    _end()
    return {}


def start(folder: Path) -> dict[str, float]:
    """`discerna train` until its first step begins, where the process ends."""
    at_import(
        "discerna.training.classifier", lambda module: setattr(module.Classifier, "training_step", _end)
    )
    from discerna import cli

    sys.argv = ["discerna", "train", "model=resnet18", f"image_size={SIDE}", f"train_data={folder / 'train'}"]
    sys.argv += [f"valid_data={folder / 'valid'}", f"output={folder / 'start' / 'model'}", "overwrite=true"]
    raise SystemExit(cli.main())


def help_text(folder: Path) -> dict[str, float]:
    """`discerna train --help`."""
    from discerna import cli

    sys.argv = ["discerna", "train", "--help"]
    return {"code": float(cli.main())}


def hydra_help(folder: Path) -> dict[str, float]:
    """The same of an application that has nothing but Hydra and one setting."""
    import hydra
    from omegaconf import OmegaConf

    (folder / "bare.yaml").write_text(OmegaConf.to_yaml({"rate": 1}))
    sys.argv = ["bare", "--help"]
    with suppress(SystemExit):
        hydra.main(version_base="1.3", config_path=str(folder), config_name="bare")(lambda settings: None)()
    return {"code": 0.0}


def _end(*of_step: Any) -> None:
    """Leave at once: what an interpreter does at its end is not measured."""
    os._exit(0)
