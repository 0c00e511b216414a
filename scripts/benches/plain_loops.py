"""Training as tutorials have it, for comparison."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from benches.speed_network import BATCH, SIDE, make_network


def plain(folder: Path) -> dict[str, float]:
    """A PyTorch loop as tutorials have it, in fp32; the second epoch."""
    import torch
    from torch import nn

    network = make_network()
    optimizer = torch.optim.AdamW(network.parameters())
    loader = _tutorial_loader(folder)
    network.train()
    for _ in range(2):
        began = time.perf_counter()
        for pictures, labels in loader:
            optimizer.zero_grad()
            nn.functional.cross_entropy(network(pictures), labels).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    return {"rate": len(loader.dataset) / (time.perf_counter() - began)}


def lightning(folder: Path) -> dict[str, float]:
    """The same as a LightningModule with a bare Trainer."""
    import torch
    from lightning.pytorch import LightningModule, Trainer
    from torch import nn

    times: list[float] = []

    class Plain(LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.network = make_network()

        def training_step(self, batch: Any, number: int) -> Any:
            pictures, labels = batch
            return nn.functional.cross_entropy(self.network(pictures), labels)

        def on_train_epoch_start(self) -> None:
            times.append(time.perf_counter())

        def on_train_epoch_end(self) -> None:
            times.append(time.perf_counter())

        def configure_optimizers(self) -> Any:
            return torch.optim.AdamW(self.parameters())

    loader = _tutorial_loader(folder)
    trainer = Trainer(
        max_epochs=2, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False,
    )  # fmt: skip
    trainer.fit(Plain(), loader)
    return {"rate": len(loader.dataset) / (times[-1] - times[-2])}


def _tutorial_loader(folder: Path) -> Any:
    from torch.utils.data import DataLoader
    from torchvision import transforms
    from torchvision.datasets import ImageFolder

    recipe = transforms.Compose(
        [
            transforms.RandomResizedCrop(SIDE, scale=(0.8, 1.0)),
            transforms.RandomHorizontalFlip(),
            transforms.ToTensor(),
            transforms.Normalize([0.5] * 3, [0.25] * 3),
        ]
    )
    return DataLoader(ImageFolder(str(folder / "train"), recipe), BATCH, shuffle=True)
