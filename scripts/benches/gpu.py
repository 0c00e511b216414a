"""`scripts/bench gpu`: training from JPEG files beside what a GPU makes of the same network on pictures that are there.

The ceiling is resnet50 on one resident batch, in the precision, layout and compiler's mode that the training has
chosen, with the same fused optimizer. Runs on a machine without a GPU as well, to see that it runs.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benches.speed import KINDS, pictures

WARM = 20


def main(arguments: list[str]) -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(prog="scripts/bench gpu", description=__doc__)
    parser.add_argument("--network", default="resnet50")
    parser.add_argument("--side", type=int, default=224)
    parser.add_argument("--batches", type=int, nargs="*", default=[16, 256])
    parser.add_argument("--pictures", type=int, default=8192, help="of the training")
    parser.add_argument("--kind", choices=KINDS, default="medium JPEG")
    parser.add_argument("--epochs", type=int, default=4, help="those after the first count")
    parser.add_argument("--steps", type=int, default=200, help="of the ceiling")
    parser.add_argument(
        "--more", nargs="*", default=[], help="settings of the training, as augmentation=medium"
    )
    parser.add_argument("--part", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.part:
        print(json.dumps(PARTS[given.part[0]](given, Path(given.part[1]))))
        return
    print(
        "| batch | ceiling, pictures/s | first epoch / ceiling | later / ceiling | precision | compiled | workers |"
    )
    print("|--:|--:|--:|--:|---|---|--:|", flush=True)
    with pictures([given.kind], given.pictures) as folders:
        reading = _part("reading", folders[given.kind], arguments)
        for batch in given.batches:
            own = ["--batches", str(batch)]
            trained = _part("train", folders[given.kind], [*arguments, *own])
            chosen = [f"{name}={trained[name]}" for name in ("precision", "tf32", "compile")]
            mode = ["--more", *given.more, *chosen]
            ceiling = _part("ceiling", folders[given.kind], [*arguments, *own, *mode])["rate"]
            cells = [
                f"{ceiling:.0f}",
                *(f"{trained[epoch] / ceiling:.2f}" for epoch in ("first", "later")),
                *(str(trained[what]) for what in ("precision", "compile", "workers")),
            ]
            print(f"| {batch} | {' | '.join(cells)} |", flush=True)
    print(
        f"\nOne core reads {reading['cold']:.0f} pictures a second from their files and {reading['warm']:.0f} from"
        f" the cache, as augmentation={reading['augmentation']} wants them ({given.kind})."
    )


def _part(name: str, folder: Path, arguments: list[str]) -> dict[str, Any]:
    command = [sys.executable, "-m", "benches.gpu", *arguments, "--part", name, str(folder)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def train(given: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """`discerna train` with its defaults."""
    import discerna
    from discerna import own_process

    own_process.claim()
    done = discerna.train(
        model=given.network,
        image_size=given.side,
        train_data=folder / "train",
        valid_data=folder / "valid",
        output=folder / "out" / "model",
        overwrite=True,
        epochs=given.epochs,
        batch_size=given.batches[0],
        early_stopping="none",
        loading={"cache": folder / "cache"},
        **_grouped(given.more),
    )
    first, *later = (row["pictures_per_second"] for row in done.epochs)
    told = json.loads((done.output / "training.json").read_text())["machine"]
    return {
        "first": first,
        "later": len(later) / sum(1 / rate for rate in later),
        **{name: told[name]["value"] for name in ("precision", "tf32", "compile", "workers")},
    }


def _grouped(overrides: list[str]) -> dict[str, Any]:
    """`trainer.devices=2` as Python takes it."""
    found: dict[str, Any] = {}
    for text in overrides:
        key, _, value = text.partition("=")
        *groups, leaf = key.split(".")
        inner = found
        for group in groups:
            inner = inner.setdefault(group, {})
        inner[leaf] = value
    return found


def ceiling(given: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """The network alone."""
    import torch
    import torchvision
    from torch import nn

    from discerna.machine import OFF

    how = dict(text.split("=", 1) for text in given.more)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    if how["tf32"] == "True":
        torch.set_float32_matmul_precision("high")
    batch, labels = given.batches[0], 4
    network = torchvision.models.get_model(given.network, num_classes=labels)
    network = network.to(device, memory_format=torch.channels_last)
    run = network if how["compile"] == OFF else torch.compile(network, mode=how["compile"], dynamic=False)
    ready = torch.rand(batch, 3, given.side, given.side, device=device).to(memory_format=torch.channels_last)
    truth = torch.arange(batch, device=device) % labels
    optimizer = torch.optim.AdamW(network.parameters(), fused=True)
    kind = {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}.get(how["precision"])
    scaler = torch.amp.GradScaler(device, enabled=kind is torch.float16)

    def step() -> None:
        with torch.autocast(device, kind, enabled=kind is not None):
            answers = run(ready)
        loss = nn.functional.cross_entropy(answers.float(), truth)
        scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        scaler.step(optimizer)
        scaler.update()
        optimizer.zero_grad()

    for _ in range(WARM):
        step()
    if device == "cuda":
        torch.cuda.synchronize()
    began = time.perf_counter()
    for _ in range(given.steps):
        step()
    if device == "cuda":
        torch.cuda.synchronize()
    return {"rate": batch * given.steps / (time.perf_counter() - began)}


def reading(given: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """How fast one core reads training pictures, first from their files and then from the cache."""
    import tempfile

    from discerna.directories.image_dir import ImageDirectory
    from discerna.images.detail import needed
    from discerna.images.loading import PictureDataset
    from discerna.images.picture_cache import PictureCache
    from discerna.recipes.presets import preset
    from discerna.settings.augmentation import AugmentationSettings
    from discerna.settings.preprocessing import Preprocessing

    name = dict(text.split("=", 1) for text in given.more).get("augmentation", "light")
    index = ImageDirectory.open(folder / "train", setting="train_data")
    spec = Preprocessing(
        size=given.side, resize=round(given.side * 256 / 224), fit="crop", interpolation="bilinear",
        mean=[0.5] * 3, std=[0.25] * 3,
    )  # fmt: skip
    own = AugmentationSettings(
        **{**preset("augmentation", name), "name": "light", "flip": 0.5, "vertical_flip": 0}
    )
    found: dict[str, Any] = {"augmentation": name}
    count = min(len(index), 256)
    with tempfile.TemporaryDirectory(prefix="discerna-gpu-") as room:
        detail = needed(spec, own)
        cache = PictureCache(Path(room), 2**33, detail)
        time.sleep(3)  # files that were just written are not kept
        dataset = PictureDataset(index, spec, None, own, 1, read=cache.picture)
        for how in ("cold", "warm"):
            began = time.perf_counter()
            for i in range(count):
                dataset[(0, i)]
            found[how] = count / (time.perf_counter() - began)
    return found


PARTS = {"train": train, "ceiling": ceiling, "reading": reading}


if __name__ == "__main__":
    main(sys.argv[1:])
