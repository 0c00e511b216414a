"""A network that takes its time and says so, so that a test can come between: `networks.modules=[sleepy_networks]`."""

import os
import time
from pathlib import Path

import torch
from torch import nn

from discerna.networks import register


@register("sleepy", image_size=16)
class Sleepy(nn.Module):
    def __init__(self, num_labels: int) -> None:
        super().__init__()
        self.head = nn.Linear(3, num_labels)

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        if "SLEEPY_SAYS" in os.environ:
            Path(f"at-work-{os.getpid()}").touch()
        time.sleep(0.5)
        return self.head(pictures.mean((2, 3)))
