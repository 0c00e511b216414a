"""What the picture sets are drawn with: smooth shapes, noise, colours, points in the unit square.

Shapes are given in a square from -1 to 1 with y downwards, and placed by `placed`.
"""

from __future__ import annotations

import colorsys
from collections.abc import Sequence

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image, ImageDraw

Array = NDArray[np.float64]
Colour = tuple[int, int, int]
Points = Sequence[tuple[float, float]]

FINE = 256
"""Masks are drawn so many pixels wide or more, and then reduced: smooth edges."""


class Mask:
    """A grey layer on which shapes are drawn in fractions of the short side; `array()` has values from 0 to 1."""

    def __init__(self, size: tuple[int, int]) -> None:
        self.size = size
        times = -(-FINE // min(size))
        self.scale = min(size) * times
        self._image = Image.new("L", (size[0] * times, size[1] * times))
        self._draw = ImageDraw.Draw(self._image)

    def polygon(self, points: Points, fill: float = 1.0) -> None:
        """A filled polygon."""
        self._draw.polygon([(x * self.scale, y * self.scale) for x, y in points], fill=round(255 * fill))

    def line(self, points: Points, width: float, fill: float = 1.0) -> None:
        """A line through the points, round at its ends and bends."""
        thick = max(1, round(width * self.scale))
        ends = [(x * self.scale, y * self.scale) for x, y in points]
        self._draw.line(ends, fill=round(255 * fill), width=thick, joint="curve")
        for x, y in ends:
            r = thick / 2
            self._draw.ellipse((x - r, y - r, x + r, y + r), fill=round(255 * fill))

    def disc(self, x: float, y: float, radius: float, fill: float = 1.0) -> None:
        """A filled circle."""
        x, y, r = x * self.scale, y * self.scale, radius * self.scale
        self._draw.ellipse((x - r, y - r, x + r, y + r), fill=round(255 * fill))

    def array(self) -> Array:
        """What was drawn, reduced to its size."""
        reduced = self._image.resize(self.size, Image.Resampling.BOX)
        return np.asarray(reduced, np.float64) / 255


def placed(points: Points, x: float, y: float, size: float, angle: float = 0, stretch: float = 1) -> Points:
    """The points of the unit shape, turned by `angle` (radians), `size` large, with its middle at (x, y)."""
    cos, sin = np.cos(angle), np.sin(angle)
    moved = []
    for px, py in points:
        px, py = px * size * stretch, py * size / stretch
        moved.append((float(x + px * cos - py * sin), float(y + px * sin + py * cos)))
    return moved


def circle(radius: float = 1, x: float = 0, y: float = 0, corners: int = 40) -> Points:
    """A circle as a polygon, so that it can be placed."""
    turns = np.linspace(0, 2 * np.pi, corners, endpoint=False)
    return [(float(x + radius * np.cos(t)), float(y + radius * np.sin(t))) for t in turns]


def star(corners: int, inner: float) -> Points:
    """A star; with `inner` near 1 a round shape."""
    turns = np.linspace(-np.pi / 2, 1.5 * np.pi, 2 * corners, endpoint=False)
    radii = [1 if n % 2 == 0 else inner for n in range(2 * corners)]
    return [(float(r * np.cos(t)), float(r * np.sin(t))) for r, t in zip(radii, turns, strict=True)]


def blob(rng: Generator, roughness: float = 0.25) -> Points:
    """A random round outline."""
    turns = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    radius = np.ones_like(turns)
    for waves in range(2, 6):
        radius += roughness / waves * rng.normal() * np.cos(waves * turns + rng.uniform(0, 2 * np.pi))
    return [(float(r * np.cos(t)), float(r * np.sin(t))) for r, t in zip(radius, turns, strict=True)]


def grid(size: tuple[int, int], angle: float = 0) -> tuple[Array, Array]:
    """The coordinates of each pixel in pixels from the middle, in axes turned by `angle`."""
    y, x = np.mgrid[: size[1], : size[0]].astype(np.float64)
    x, y = x - size[0] / 2, y - size[1] / 2
    return x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)


def noise(rng: Generator, size: tuple[int, int], exponent: float) -> Array:
    """Noise of mean 0 and deviation 1 whose amplitude falls as frequency to the `exponent`: 0 grain, 1 nature."""
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(size[0]), np.fft.fftfreq(size[1])))
    frequency[0, 0] = 1
    spectrum = np.fft.fft2(rng.normal(size=(size[1], size[0]))) / frequency**exponent
    spectrum[0, 0] = 0
    field = np.fft.ifft2(spectrum).real
    return np.asarray(field / field.std())


def light(rng: Generator, size: tuple[int, int], strength: float) -> Array:
    """Uneven light: about 1, rising in a random direction by up to `strength`."""
    along, _ = grid(size, float(rng.uniform(0, 2 * np.pi)))
    return np.asarray(1 + rng.uniform(0, strength) * along / max(size))


def hsv(hue: float, saturation: float, value: float) -> Array:
    """A colour from 0 to 1; `hue` in turns."""
    return np.array(colorsys.hsv_to_rgb(hue % 1, min(1, max(0, saturation)), min(1, max(0, value))))


def paint(picture: Array, mask: Array, colour: Array | float) -> None:
    """Lay a colour (or a whole picture of them) over the picture where the mask says so."""
    cover = mask[:, :, None] if picture.ndim == 3 else mask
    picture += cover * (colour - picture)


def as_image(picture: Array) -> Image.Image:
    """A picture of values from 0 to 1, grey or RGB, as 8 bits."""
    return Image.fromarray((picture.clip(0, 1) * 255).round().astype(np.uint8))
