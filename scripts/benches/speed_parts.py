"""`python -m benches.speed_parts PART FOLDER`: one measurement of `scripts/bench speed`, in a process of its own.

Prints one JSON object: `rate` in pictures a second or `seconds`, and `private`, the most memory of its own in bytes.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benches.changed_at_import import at_import
from benches.own_memory import most_private
from benches.plain_loops import lightning, plain
from benches.speed_network import BATCH, LABELS, SIDE, make_network
from benches.speed_start import help_text, hydra_help, libraries, start

WARM, STEPS = 4, 30
"""Steps before the clock runs, and while it does."""


def ceiling(folder: Path, precision: str, learns: bool) -> dict[str, float]:
    """The network alone on a batch that is there already, as `discerna train` would compute it."""
    import torch
    from torch import nn

    network = make_network().to(memory_format=torch.channels_last)
    pictures = torch.rand(BATCH, 3, SIDE, SIDE).to(memory_format=torch.channels_last)
    labels = torch.arange(BATCH) % LABELS
    optimizer = torch.optim.AdamW(network.parameters(), fused=True)
    autocast = precision == "bf16"
    network.train(learns)

    def step() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            answers = network(pictures)
        if learns:
            nn.functional.cross_entropy(answers.float(), labels).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            optimizer.zero_grad()

    with torch.set_grad_enabled(learns) if learns else torch.inference_mode():
        for _ in range(WARM):
            step()
        began = time.perf_counter()
        for _ in range(STEPS):
            step()
    return {"rate": BATCH * STEPS / (time.perf_counter() - began)}


def decode(folder: Path) -> dict[str, float]:
    """Full-quality decode and fit, on one core."""
    import torch

    from discerna.images.decode import decode as decoded
    from discerna.images.preprocessing import fit_picture
    from discerna.images.tensors import to_tensor

    torch.set_num_threads(1)
    spec = _seen()
    files = sorted((folder / "valid").rglob("*.*"))
    began = time.perf_counter()
    for file in files:
        to_tensor(fit_picture(decoded(file), spec))
    return {"rate": len(files) / (time.perf_counter() - began)}


def decode_together(folder: Path) -> dict[str, float]:
    """The same on all cores at once."""
    import torch

    from discerna.directories.image_dir import ImageDirectory
    from discerna.images.loading import PictureDataset, read_here

    index = ImageDirectory.open(folder / "valid", setting="valid_data")
    dataset = PictureDataset(index, _seen(), None, None, 0)
    cores = torch.get_num_threads()
    torch.set_num_threads(1)
    began = time.perf_counter()
    for _ in read_here(dataset, [[(0, i) for i in range(len(index))]], cores):
        pass
    return {"rate": len(index) / (time.perf_counter() - began)}


def _seen() -> Any:
    from discerna.settings.preprocessing import Preprocessing

    return Preprocessing(size=SIDE, resize=256, fit="crop", interpolation="bilinear", mean=[0.5] * 3, std=[0.25] * 3,
                         grayscale=False, border=0)  # fmt: skip


def train(folder: Path, *more: str) -> dict[str, float]:
    """`discerna train` with its defaults; the epochs after the first."""
    import discerna

    times: list[float] = []
    at_import("discerna.training.classifier", lambda module: _time_validation(module.Classifier, times))
    done = discerna.train(
        model="resnet18",
        image_size=SIDE,
        train_data=folder / "train",
        valid_data=folder / "valid",
        output=folder / "out" / "model",
        overwrite=True,
        epochs=3,
        early_stopping="none",
        **dict(text.split("=", 1) for text in more),
    )
    rows = done.epochs[1:]
    validated = len(list((folder / "valid").rglob("*.*"))) * (len(times) // 2 - 1)
    return {
        "rate": len(rows) / sum(1 / row["pictures_per_second"] for row in rows),
        "validation": validated / (sum(times[3::2]) - sum(times[2::2])),
    }


def _time_validation(classifier: Any, times: list[float]) -> None:
    """Note when each validation begins and ends."""
    for name in ("on_validation_epoch_start", "on_validation_epoch_end"):
        real = getattr(classifier, name)

        def timed(module: Any, real: Any = real) -> None:
            times.append(time.perf_counter())
            real(module)

        setattr(classifier, name, timed)


def step(folder: Path) -> dict[str, float]:
    """Steps of `discerna train` with a network that computes next to nothing."""
    import discerna

    small = _smallest_pictures(folder)
    done = discerna.train(
        model="bench_linear",
        networks={"modules": ["benches.linear_network"]},
        train_data=small,
        valid_data=folder / "valid",
        output=folder / "linear" / "model",
        overwrite=True,
        epochs=4,
        check="off",
        early_stopping="none",
        augmentation={"name": "light", "flip": 0.5},
        image_size=8,
        loading={"cache": "off"},
    )
    return {"seconds": BATCH / max(row["pictures_per_second"] for row in done.epochs[1:])}


def bare_step(folder: Path) -> dict[str, float]:
    """The same steps without a trainer: pictures read by discerna, then torch alone."""
    import torch
    from torch import nn

    from benches.linear_network import linear
    from discerna.directories.image_dir import ImageDirectory
    from discerna.images.loading import PictureDataset, read_here
    from discerna.images.tensors import normalise
    from discerna.recipes.presets import preset
    from discerna.settings.augmentation import AugmentationSettings
    from discerna.settings.preprocessing import Preprocessing

    index = ImageDirectory.open(_smallest_pictures(folder), setting="train_data")
    spec = Preprocessing(
        size=8, resize=9, fit="crop", interpolation="bilinear", mean=[0.5] * 3, std=[0.25] * 3
    )
    light = AugmentationSettings(
        **{**preset("augmentation", "light"), "name": "light", "flip": 0.5, "vertical_flip": 0}
    )
    dataset = PictureDataset(index, spec, list(range(LABELS)), light, 1)
    network = linear(LABELS)
    optimizer = torch.optim.AdamW(network.parameters(), fused=True)
    batches = [[(0, i + j) for j in range(BATCH)] for i in range(0, len(index), BATCH)]
    rates = []
    for _ in range(4):
        began = time.perf_counter()
        for batch in read_here(dataset, batches, torch.get_num_threads()):
            with torch.autocast("cpu", torch.bfloat16, enabled=_auto() == "bf16"):
                answers = network(normalise(batch.pictures, spec))
            nn.functional.cross_entropy(answers.float(), batch.labels).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            optimizer.zero_grad()
        rates.append((time.perf_counter() - began) / len(batches))
    return {"seconds": min(rates[1:])}


def _smallest_pictures(folder: Path) -> Path:
    """Pictures that take no time to read."""
    from PIL import Image

    place = folder / "smallest"
    for number in range(40 * BATCH):
        file = place / f"label{number % LABELS}" / f"{number}.png"
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (9, 9), (number % 256, number // 256, 0)).save(file)
    return place


def score(folder: Path) -> dict[str, float]:
    """`discerna score` of a trained model, its start left out."""
    import discerna

    predictor = discerna.load(folder / "out" / "model", device="cpu")
    from discerna.directories.image_dir import ImageDirectory

    index = ImageDirectory.open(folder / "train", setting="data")
    rates = []
    for _ in range(2):
        began = time.perf_counter()
        count = sum(len(batch.indices) for batch in predictor.stream(index, batch_size=32, workers=0))
        rates.append(count / (time.perf_counter() - began))
    return {"rate": rates[-1]}


def score_many(folder: Path, count: str) -> dict[str, float]:
    """Scores of so many pictures by the network of `step`; what counts is the memory."""
    import discerna
    from benches import linear_network as linear_network  # it registers itself
    from discerna.directories.image_dir import ImageDirectory

    small, many = _smallest_pictures(folder), folder / f"many{count}"
    sources = sorted(small.rglob("*.png"))
    for number in range(int(count)):
        file = many / f"label{number % LABELS}" / f"{number}.png"
        if number < LABELS:
            file.parent.mkdir(parents=True)
        file.hardlink_to(sources[number % len(sources)])
    predictor = discerna.load(folder / "linear" / "model", device="cpu")
    index = ImageDirectory.open(many, setting="data")
    began = time.perf_counter()
    scored = sum(len(batch.indices) for batch in predictor.stream(index, batch_size=32, workers=0))
    return {"rate": scored / (time.perf_counter() - began)}


PARTS: dict[str, Callable[..., dict[str, float]]] = {
    "ceiling": lambda folder: ceiling(folder, _auto(), learns=True),
    "ceiling-fp32": lambda folder: ceiling(folder, "fp32", learns=True),
    "forward": lambda folder: ceiling(folder, _auto(), learns=False),
    "forward-fp32": lambda folder: ceiling(folder, "fp32", learns=False),
    "decode": decode,
    "decode-together": decode_together,
    "train": train,
    "plain": plain,
    "lightning": lightning,
    "score": score,
    "score-many": score_many,
    "step": step,
    "bare-step": bare_step,
    "libraries": libraries,
    "start": start,
    "help": help_text,
    "hydra-help": hydra_help,
}


AS_COMMANDS = ("ceiling", "forward", "forward-fp32", "decode", "decode-together", "train", "score")
"""Parts that have memory as the commands of discerna have it; plain loops have it as Python programs do."""


def _auto() -> str:
    from discerna.machine import cpu_has_bf16

    return "bf16" if cpu_has_bf16() else "fp32"


if __name__ == "__main__":
    part, place, *rest = sys.argv[1:]
    standard = os.dup(1)
    os.dup2(2, 1)  # what libraries print is no result
    if part in AS_COMMANDS:
        from discerna import own_process
        from discerna.allocator import keep_blocks

        own_process.claim()
        keep_blocks()
    with most_private() as private:
        found = PARTS[part](Path(place), *rest)
    os.write(standard, json.dumps({**found, "private": private[0]}).encode())
