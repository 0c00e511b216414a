"""Networks small enough for tests: `networks.modules=[tiny_networks]`, as a user's own would be."""

import torch
from torch import Tensor, nn

from discerna.networks import register


@register("tiny", image_size=16)
def tiny(num_labels: int, width: int = 8, dropout: float = 0.1) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, width, 3, stride=2, padding=1),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Dropout(dropout),
        nn.Linear(width * 4, num_labels),
    )


@register("plain", image_size=16)
def plain(num_labels: int) -> nn.Module:
    """No batch normalisation, no dropout: any number of processes computes the same."""
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(16, num_labels),
    )


class Greedy(nn.Module):
    """Has memory for so many pictures at once."""

    def __init__(self, network: nn.Module, most: int) -> None:
        super().__init__()
        self.network = network
        self.most = most

    def forward(self, pictures: Tensor) -> Tensor:
        if self.training and pictures.device.type != "meta" and len(pictures) > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 1 GiB")
        answer: Tensor = self.network(pictures)
        return answer


@register("greedy", image_size=16)
def greedy(num_labels: int, most: int = 4) -> nn.Module:
    return Greedy(plain(num_labels), most)
