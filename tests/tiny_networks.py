"""Networks small enough for tests: `networks.modules=[tiny_networks]`, as a user's own would be."""

from torch import nn

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
