"""Several views of each picture whose probabilities are averaged: slower, and as a rule a little better."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor
from torch.nn.functional import interpolate

from discerna.errors import SettingsError

View = Callable[[Tensor], Tensor]
"""Pictures [n, 3, size, size] -> as many of the same size."""

_PART = 7 / 8
"""Side of the corners that `crops` looks at, as a share of the picture's."""


def views_of(kind: str) -> list[View]:
    """How a batch is looked at: `one`, `flip` (also mirrored), `crops` (also its corners, and all mirrored)."""
    corners = [_corner(down, right) for down in (False, True) for right in (False, True)]
    known: dict[str, list[View]] = {
        "one": [_whole],
        "flip": _with_mirrors([_whole]),
        "crops": _with_mirrors([_whole, *corners]),
    }
    if kind not in known:
        raise SettingsError("wrong value", where=f"views={kind}", accepted=f"it is {' | '.join(known)}")
    return known[kind]


def _whole(pictures: Tensor) -> Tensor:
    return pictures


def _with_mirrors(views: list[View]) -> list[View]:
    return [*views, *(_mirrored(view) for view in views)]


def _mirrored(view: View) -> View:
    return lambda pictures: view(pictures).flip(-1)


def _corner(down: bool, right: bool) -> View:
    def view(pictures: Tensor) -> Tensor:
        size = pictures.shape[-1]
        side = max(1, round(size * _PART))
        top, left = (size - side) * down, (size - side) * right
        part = pictures[..., top : top + side, left : left + side]
        return interpolate(part, size=(size, size), mode="bilinear")

    return view
