"""How a picture of each set is drawn: a label and a generator of random numbers in, a picture out."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from functools import cache

import numpy as np
from numpy.random import Generator
from PIL import Image

from benches.canvas import (
    Array,
    Mask,
    Points,
    as_image,
    blob,
    circle,
    grid,
    hsv,
    light,
    noise,
    paint,
    placed,
    star,
)

SIDE = 64
SQUARE = (SIDE, SIDE)

# --- shapes: where a ring's gap is -------------------------------------------------------------------------------

GAPS = ("e", "ne", "n", "nw", "w", "sw", "s", "se")
"""Directions counterclockwise from the right, as on an oculist's chart."""


def shape(label: str, rng: Generator) -> Image.Image:
    """A ring with a gap in the direction that the label tells; a mirror image bears another label."""
    angle = -GAPS.index(label) * np.pi / 4 + rng.normal(0, 0.1)
    radius = rng.uniform(0.24, 0.38)
    x, y = rng.uniform(0.38, 0.62, 2)
    thickness = radius * rng.uniform(0.3, 0.5)
    half = rng.uniform(0.4, 0.65)  # of the gap, in radians
    turns = angle + np.linspace(half, 2 * np.pi - half, 60)
    mask = Mask(SQUARE)
    middle = radius - thickness / 2
    corners = int(rng.integers(4, 9)) if rng.random() < 0.4 else 0
    reach = [1.0 if not corners else _polygon_reach(t, corners) for t in turns]
    arc = [
        (float(x + middle * r * np.cos(t)), float(y + middle * r * np.sin(t)))
        for r, t in zip(reach, turns, strict=True)
    ]
    mask.line(arc, thickness)
    ground = 0.5 + 0.1 * rng.normal() + 0.05 * noise(rng, SQUARE, 1.2)
    contrast = rng.uniform(0.3, 0.5) * rng.choice([-1, 1])
    paint(ground, mask.array(), ground + contrast)
    return as_image(ground * light(rng, SQUARE, 0.5) + rng.normal(0, 0.03, ground.shape))


def _polygon_reach(turn: float, corners: int) -> float:
    """How far a regular polygon's edge is from its middle in a direction."""
    step = 2 * np.pi / corners
    return float(np.cos(step / 2) / np.cos((turn % step) - step / 2))


# --- colours: hue and strength of a colour ------------------------------------------------------------------------

HUES = {"red": 0.0, "orange": 1 / 12, "yellow": 1 / 6, "green": 1 / 3, "blue": 7 / 12, "violet": 3 / 4}
STRENGTHS = {"pale": 0.35, "vivid": 0.75}
COLOURS = tuple(f"{strength}_{hue}" for hue in HUES for strength in STRENGTHS)


def colour(label: str, rng: Generator) -> Image.Image:
    """Blobs of one colour among grey ones, under varying light."""
    strength, _, hue = label.partition("_")
    picture = np.empty((SIDE, SIDE, 3))
    picture[:] = (0.5 + 0.12 * rng.normal() + 0.1 * noise(rng, SQUARE, 1))[:, :, None]
    coloured = int(rng.integers(1, 4))
    for number in range(coloured + int(rng.integers(0, 4))):
        mask = Mask(SQUARE)
        outline = blob(rng, 0.3) if rng.random() < 0.6 else star(int(rng.integers(3, 8)), rng.uniform(0.4, 1))
        x, y = rng.uniform(0.15, 0.85, 2)
        size = rng.uniform(0.13, 0.26)
        mask.polygon(placed(outline, x, y, size, rng.uniform(0, 6.3), rng.uniform(0.8, 1.25)))
        value = rng.uniform(0.45, 0.95)
        own = hsv(HUES[hue] + rng.normal(0, 0.018), STRENGTHS[strength] + rng.normal(0, 0.09), value)
        if number >= coloured:  # one that tells nothing
            own = np.full(3, value)
        grain = 1 + 0.12 * noise(rng, SQUARE, 0.8)[:, :, None]
        paint(picture, mask.array(), own * grain)
    tint = 1 + rng.normal(0, 0.05, 3)  # the lamp's own colour
    picture *= tint * rng.uniform(0.65, 1.1) * light(rng, SQUARE, 0.6)[:, :, None]
    return as_image(picture + rng.normal(0, 0.04, picture.shape))


# --- textures -----------------------------------------------------------------------------------------------------

Texture = Callable[[Generator], Array]


def _grating(rng: Generator) -> Array:
    along, across = grid(SQUARE, rng.uniform(0, np.pi))
    bend = rng.uniform(0, 2) * np.sin(across / rng.uniform(6, 14))
    return np.asarray(np.sin((along + bend) * 2 * np.pi / rng.uniform(5, 9)))


def _brushed(rng: Generator) -> Array:
    """Metal brushed in one direction: noise that is long along it."""
    angle = rng.uniform(0, np.pi)
    fx, fy = np.meshgrid(np.fft.fftfreq(SIDE), np.fft.fftfreq(SIDE))
    along = fx * np.cos(angle) + fy * np.sin(angle)
    across = fy * np.cos(angle) - fx * np.sin(angle)
    kept = np.exp(-((along / 0.02) ** 2) - (across / 0.22) ** 2)
    field = np.fft.ifft2(np.fft.fft2(rng.normal(size=(SIDE, SIDE))) * kept).real
    return np.asarray(field / field.std())


def _woven(rng: Generator) -> Array:
    along, across = grid(SQUARE, rng.uniform(0, np.pi))
    period = rng.uniform(6, 11)
    u, v = along / period * np.pi, across / period * np.pi
    over = np.sin(u) * np.sin(v) > 0
    return np.asarray(np.where(over, np.abs(np.sin(2 * u)), np.abs(np.sin(2 * v))) * 2 - 1)


def _checked(rng: Generator) -> Array:
    along, across = grid(SQUARE, rng.uniform(0, np.pi))
    period = rng.uniform(6, 11)
    return np.asarray(
        np.tanh(2 * np.sin(along / period * np.pi) * np.sin(across / period * np.pi)) * rng.choice([-1, 1])
    )


def _spotted(rng: Generator) -> Array:
    return _scattered(rng, lambda mask, x, y, r: mask.disc(x, y, r))


def _ringed(rng: Generator) -> Array:
    return _scattered(rng, lambda mask, x, y, r: mask.line([*circle(r, x, y), (x + r, y)], 0.016))


def _scattered(rng: Generator, mark: Callable[[Mask, float, float, float], None]) -> Array:
    mask = Mask(SQUARE)
    size = rng.uniform(0.03, 0.06)
    for x, y in rng.uniform(0, 1, (round(0.14 / size**2 / np.pi), 2)):
        mark(mask, x, y, size * rng.uniform(0.8, 1.2))
    return np.asarray(mask.array() * rng.choice([-2, 2]))


def _scratched(rng: Generator) -> Array:
    mask = Mask(SQUARE)
    for _ in range(int(rng.integers(12, 24))):
        x, y, turn, length = (
            rng.uniform(0, 1),
            rng.uniform(0, 1),
            rng.uniform(0, np.pi),
            rng.uniform(0.1, 0.4),
        )
        step = (length * np.cos(turn), length * np.sin(turn))
        mask.line([(x - step[0], y - step[1]), (x + step[0], y + step[1])], rng.uniform(0.008, 0.02))
    return np.asarray(mask.array() * rng.choice([-2, 2]))


def _cracked(rng: Generator) -> Array:
    """Cells, as in dried mud: dark where the two nearest of random points are equally near."""
    points = rng.uniform(-8, SIDE + 8, (int(rng.integers(28, 50)), 2))
    x, y = np.mgrid[:SIDE, :SIDE]
    distance = np.hypot(x[:, :, None] - points[:, 0], y[:, :, None] - points[:, 1])
    distance.sort(axis=2)
    return np.asarray(np.tanh((distance[:, :, 1] - distance[:, :, 0]) / 1.5 - 1) * rng.choice([-1, 1]))


TEXTURES: dict[str, Texture] = {
    "brushed": _brushed,
    "checked": _checked,
    "cloudy": lambda rng: noise(rng, SQUARE, rng.uniform(1.5, 1.8)),
    "cracked": _cracked,
    "grating": _grating,
    "grainy": lambda rng: noise(rng, SQUARE, rng.uniform(0.5, 0.75)),
    "mottled": lambda rng: noise(rng, SQUARE, rng.uniform(0.95, 1.25)),
    "ringed": _ringed,
    "scratched": _scratched,
    "spotted": _spotted,
    "woven": _woven,
}


def texture(label: str, rng: Generator) -> Image.Image:
    """A surface, grey and turned anyhow, under uneven light and noise."""
    surface = TEXTURES[label](rng)
    surface = (surface - surface.mean()) / (surface.std() + 1e-9)
    surface = rng.uniform(0.07, 0.15) * surface + 0.05 * noise(rng, SQUARE, 1.2)
    picture = rng.uniform(0.35, 0.65) + surface + rng.normal(0, 0.04, (SIDE, SIDE))
    return as_image(picture * light(rng, SQUARE, 0.6))


# --- glyphs: many labels, few pictures ----------------------------------------------------------------------------

GLYPHS = tuple(f"glyph{number:02}" for number in range(40))


@cache
def _strokes(label: str) -> tuple[Points, ...]:
    """The strokes of a label's figure: two to four lines or bows between the points of a 3 x 3 grid."""
    rng = np.random.default_rng(zlib.crc32(label.encode()))
    strokes: list[Points] = []
    pen = rng.integers(-1, 2, 2)
    for _ in range(int(rng.integers(3, 5))):
        end = pen
        while (end == pen).all():
            end = rng.integers(-1, 2, 2)
        middle = (pen + end) / 2 + rng.choice([0, 0.45, -0.45]) * np.array([end[1] - pen[1], pen[0] - end[0]])
        strokes.append([(float(p[0]) * 0.8, float(p[1]) * 0.8) for p in (pen, middle, end)])
        pen = end if rng.random() < 0.7 else rng.integers(-1, 2, 2)
    return tuple(strokes)


def glyph(label: str, rng: Generator) -> Image.Image:
    """A figure of strokes written by an unsteady hand, in dark ink on light paper."""
    mask = Mask(SQUARE)
    x, y = rng.uniform(0.42, 0.58, 2)
    size, angle = rng.uniform(0.26, 0.38), rng.normal(0, 0.12)
    stretch, slant = rng.uniform(0.85, 1.18), rng.normal(0, 0.12)
    width = rng.uniform(0.035, 0.075)
    for stroke in _strokes(label):
        shaken = [(px + slant * py + rng.normal(0, 0.07), py + rng.normal(0, 0.07)) for px, py in stroke]
        mask.line(placed(_bow(shaken), x, y, size, angle, stretch), width)
    paper = rng.uniform(0.65, 0.95) + 0.03 * noise(rng, SQUARE, 1)
    paint(paper, mask.array() * rng.uniform(0.7, 1), rng.uniform(0.05, 0.3))
    return as_image(paper * light(rng, SQUARE, 0.3) + rng.normal(0, 0.04, paper.shape))


def _bow(points: Points) -> Points:
    """The curve through three points."""
    (x0, y0), (x1, y1), (x2, y2) = points
    cx, cy = 2 * x1 - (x0 + x2) / 2, 2 * y1 - (y0 + y2) / 2
    steps = np.linspace(0, 1, 12)
    return [
        (
            float((1 - t) ** 2 * x0 + 2 * t * (1 - t) * cx + t * t * x2),
            float((1 - t) ** 2 * y0 + 2 * t * (1 - t) * cy + t * t * y2),
        )
        for t in steps
    ]


# --- rare: objects of which some are seldom seen --------------------------------------------------------------------

DROP = [(0.72 * float(np.cos(t)), 0.3 + 0.72 * float(np.sin(t))) for t in np.linspace(-0.5, np.pi + 0.5, 30)]
"""The round part of a drop."""

CROSS = [(-0.3, -1), (0.3, -1), (0.3, -0.3), (1, -0.3), (1, 0.3), (0.3, 0.3)]
CROSS += [(-x, -y) for x, y in CROSS]
"""An upright one of equal arms."""

OBJECTS: dict[str, tuple[Sequence[Points], float]] = {
    # outlines (the second and later ones are cut out), and the hue about which its colour varies
    "star": ([star(5, 0.45)], 0.14),
    "ring": ([circle(1), circle(0.55)], 0.55),
    "cross": ([CROSS], 0.0),
    "moon": ([circle(1), circle(0.8, 0.45, 0)], 0.17),
    "drop": ([[(0, -1.1), *DROP]], 0.6),
    "arrow": ([[(-1, -0.22), (0.1, -0.22), (0.1, -0.7), (1, 0), (0.1, 0.7), (0.1, 0.22), (-1, 0.22)]], 0.95),
}


def rare(label: str, rng: Generator) -> Image.Image:
    """An object of a likely colour, turned anyhow, before a speckled ground with other things on it."""
    picture = np.empty((SIDE, SIDE, 3))
    picture[:] = hsv(rng.random(), rng.uniform(0, 0.35), rng.uniform(0.35, 0.75))
    picture += 0.04 * np.stack([noise(rng, SQUARE, 1) for _ in range(3)], 2)
    for _ in range(int(rng.integers(0, 3))):
        mask = Mask(SQUARE)
        x, y = rng.uniform(0, 1, 2)
        mask.polygon(placed(blob(rng), x, y, rng.uniform(0.06, 0.16), rng.uniform(0, 6.3)))
        paint(picture, mask.array() * 0.8, hsv(rng.random(), rng.uniform(0.1, 0.7), rng.uniform(0.3, 0.9)))
    outlines, hue = OBJECTS[label]
    (x, y), size, angle = rng.uniform(0.36, 0.64, 2), rng.uniform(0.24, 0.36), rng.uniform(0, 2 * np.pi)
    mask = Mask(SQUARE)
    for number, outline in enumerate(outlines):
        mask.polygon(placed(outline, x, y, size, angle), float(number == 0))
    own = hsv(hue + rng.normal(0, 0.08), rng.uniform(0.4, 0.9), rng.uniform(0.5, 0.95))
    paint(picture, mask.array(), own * (1 + 0.06 * noise(rng, SQUARE, 0.8)[:, :, None]))
    return as_image(picture * light(rng, SQUARE, 0.6)[:, :, None] + rng.normal(0, 0.025, picture.shape))


# --- scenes: like photographs -------------------------------------------------------------------------------------


def _box(left: float, top: float, right: float, bottom: float) -> Points:
    return [(left, top), (right, top), (right, bottom), (left, bottom)]


Parts = list[tuple[Points, int]]
"""Outlines from back to front, each with the number of its colour: 0 main, 1 second, 2 dark, 3 light."""


def _bird(rng: Generator) -> Parts:
    lift = rng.uniform(-0.9, -0.2)
    return [
        ([(-0.1, 0), (-0.5, lift), (0.25, -0.1)], 1),
        (placed(circle(), 0, 0.05, 0.5, 0.1, 1.35), 0),
        ([(-0.5, 0), (-1, -0.2), (-0.95, 0.15)], 0),
        (circle(0.24, 0.6, -0.25), 0),
        ([(0.8, -0.33), (1.08, -0.22), (0.8, -0.16)], 3),
        (circle(0.05, 0.66, -0.3), 2),
        ([(-0.15, 0), (-0.3, lift * 0.8), (0.3, 0)], 1),
    ]


def _boat(rng: Generator) -> Parts:
    mast = rng.uniform(-0.1, 0.15)
    return [
        (_box(mast - 0.03, -1, mast + 0.03, 0.35), 2),
        ([(mast + 0.07, -0.9), (mast + 0.07, 0.2), (rng.uniform(0.6, 0.9), 0.2)], 3),
        ([(mast - 0.07, -0.75), (mast - 0.07, 0.2), (rng.uniform(-0.75, -0.4), 0.2)], 1),
        ([(-1, 0.35), (1, 0.35), (0.7, 0.8), (-0.75, 0.8)], 0),
    ]


def _car(rng: Generator) -> Parts:
    roof = rng.uniform(-0.5, -0.3)
    return [
        ([(-0.65, 0), (-0.4, roof), (0.3, roof), (0.6, 0)], 0),
        ([(-0.5, 0), (-0.33, roof + 0.1), (-0.06, roof + 0.1), (-0.06, 0)], 3),
        ([(0.02, 0), (0.02, roof + 0.1), (0.24, roof + 0.1), (0.44, 0)], 3),
        ([(-1, 0), (0.85, 0), (1, 0.15), (1, 0.42), (-1, 0.42)], 0),
        (circle(0.22, -0.55, 0.42), 2),
        (circle(0.22, 0.55, 0.42), 2),
        (circle(0.09, -0.55, 0.42), 3),
        (circle(0.09, 0.55, 0.42), 3),
    ]


def _fish(rng: Generator) -> Parts:
    tail = rng.uniform(0.35, 0.6)
    return [
        ([(-0.5, 0), (-1.05, -tail), (-0.9, 0), (-1.05, tail)], 1),
        ([(-0.2, -0.3), (0.1, rng.uniform(-0.8, -0.55)), (0.35, -0.25)], 1),
        (placed(circle(), 0.1, 0, 0.55, 0, 1.35), 0),
        (circle(0.1, 0.55, -0.1), 3),
        (circle(0.05, 0.57, -0.1), 2),
        ([(0.1, 0.05), (-0.2, 0.25), (0.1, 0.3)], 1),
    ]


def _flower(rng: Generator) -> Parts:
    count = int(rng.integers(5, 9))
    turns = rng.uniform(0, 6.3) + np.arange(count) * 2 * np.pi / count
    petals: Parts = [
        (placed(circle(), 0.4 * float(np.cos(t)), -0.35 + 0.4 * float(np.sin(t)), 0.24, float(t), 1.25), 0)
        for t in turns
    ]
    return [
        (_box(-0.04, -0.3, 0.04, 1), 2),
        (placed(circle(), 0.25, 0.6, 0.16, -0.6, 1.5), 2),
        *petals,
        (circle(0.2, 0, -0.35), 1),
    ]


def _house(rng: Generator) -> Parts:
    eaves, door = rng.uniform(-0.35, -0.1), rng.uniform(-0.4, 0.3)
    return [
        (_box(0.35, -0.8, 0.55, eaves), 2),
        (_box(-0.75, eaves, 0.75, 0.9), 0),
        ([(-0.95, eaves), (rng.uniform(-0.1, 0.1), -1), (0.95, eaves)], 1),
        (_box(door - 0.13, 0.35, door + 0.13, 0.9), 2),
        (_box(-0.6, eaves + 0.15, -0.3, eaves + 0.45), 3),
        (_box(0.3, eaves + 0.15, 0.6, eaves + 0.45), 3),
    ]


def _mushroom(rng: Generator) -> Parts:
    stem = rng.uniform(0.16, 0.3)
    cap = [(x, min(y, 0.1)) for x, y in placed(circle(), 0, 0, 0.85, 0, 1.1)]
    dots: Parts = [
        (circle(rng.uniform(0.07, 0.13), rng.uniform(-0.5, 0.5), rng.uniform(-0.5, -0.1)), 3)
        for _ in range(4)
    ]
    return [([(-stem, 0), (stem, 0), (stem * 1.3, 0.95), (-stem * 1.3, 0.95)], 3), (cap, 0), *dots]


def _tree(rng: Generator) -> Parts:
    trunk: Parts = [(_box(-0.11, 0.1, 0.11, 1), 2)]
    if rng.random() < 0.5:
        for number in range(3):
            top, wide = -1 + 0.4 * number, 0.4 + 0.15 * number
            trunk.append(([(0, top), (wide, top + 0.7), (-wide, top + 0.7)], 0 if number % 2 else 1))
        return trunk
    crown: Parts = [
        (placed(blob(rng), rng.uniform(-0.35, 0.35), rng.uniform(-0.65, 0), 0.42), number % 2)
        for number in range(5)
    ]
    return trunk + crown


SCENES: dict[str, tuple[Callable[[Generator], Parts], float]] = {
    # what it is drawn by, and the hue that it often has
    "bird": (_bird, 0.08),
    "boat": (_boat, 0.6),
    "car": (_car, 0.98),
    "fish": (_fish, 0.5),
    "flower": (_flower, 0.85),
    "house": (_house, 0.1),
    "mushroom": (_mushroom, 0.02),
    "tree": (_tree, 0.3),
}


def scene(label: str, rng: Generator) -> Image.Image:
    """A thing before sky and ground, perhaps partly hidden: its form tells the label, its colour a little."""
    width, height = (int(side) for side in rng.integers(96, 201, 2))
    width, height = max(width, round(height * 0.6)), max(height, round(width * 0.6))
    size = (width, height)
    picture = _landscape(rng, size)
    short = min(size)
    surface = 1 + 0.07 * noise(rng, size, 1)
    for _ in range(int(rng.integers(0, 3))):  # stones and bushes
        x, y = rng.uniform(0, width / short), rng.uniform(0, height / short)
        outline = placed(blob(rng), x, y, rng.uniform(0.05, 0.16))
        _layer(picture, outline, _any_colour(rng) * (surface * light(rng, size, 0.8))[:, :, None])
    reach = rng.uniform(0.34, 0.48)
    x, y = (rng.uniform(reach * 0.85, side / short - reach * 0.85) for side in size)
    mirror, angle, stretch = rng.choice([-1, 1]), rng.normal(0, 0.15), rng.uniform(0.88, 1.14)
    parts, hue = SCENES[label]
    main = _any_colour(rng)
    if rng.random() < 0.5:
        main = hsv(hue + rng.normal(0, 0.05), rng.uniform(0.4, 0.85), rng.uniform(0.4, 0.9))
    colours = [main, _any_colour(rng), main * rng.uniform(0.25, 0.5), 1 - (1 - main) * rng.uniform(0.1, 0.4)]
    surface = np.roll(surface, height // 2, 0) * light(rng, size, 0.8)  # other than that of the stones
    for outline, number in parts(rng):
        turned = placed([(mirror * px, py) for px, py in outline], x, y, reach, angle, stretch)
        _layer(picture, turned, colours[number] * surface[:, :, None])
    for _ in range(int(rng.integers(0, 4))):  # blades of grass or twigs before it
        foot, top = x + rng.normal(0, reach), y + rng.uniform(-reach, reach * 0.5)
        mask = Mask(size)
        mask.line([(foot, height / short), (foot + rng.normal(0, 0.1), top)], rng.uniform(0.012, 0.03))
        paint(picture, mask.array(), _any_colour(rng) * 0.7)
    picture *= (1 + rng.normal(0, 0.06, 3)) * rng.uniform(0.7, 1.15) * light(rng, size, 0.5)[:, :, None]
    return as_image(picture + rng.normal(0, rng.uniform(0.01, 0.05), picture.shape))


def _any_colour(rng: Generator) -> Array:
    return hsv(rng.random(), rng.uniform(0.15, 0.85), rng.uniform(0.3, 0.95))


def _landscape(rng: Generator, size: tuple[int, int]) -> Array:
    """Two gradients that meet at an uneven horizon, rough as nature is."""
    height = size[1]
    down = np.linspace(0, 1, height)[:, None, None]
    sky = hsv(rng.normal(0.57, 0.07), rng.uniform(0.05, 0.45), rng.uniform(0.7, 1))
    ground = hsv(rng.normal(0.2, 0.08), rng.uniform(0.2, 0.6), rng.uniform(0.25, 0.6))
    upper = sky + rng.normal(0, 0.15) * down + 0.05 * noise(rng, size, 1.6)[:, :, None]
    lower = ground * (0.75 + 0.5 * down) + 0.06 * noise(rng, size, 0.9)[:, :, None]
    horizon = rng.uniform(0.3, 0.8) + 0.03 * noise(rng, size, 2)[height // 2]
    below = 1 / (1 + np.exp(-(down[:, :, 0] - horizon[None, :]) * height / rng.uniform(1, 4)))
    return np.asarray(upper + below[:, :, None] * (lower - upper))


def _layer(picture: Array, outline: Points, own: Array) -> None:
    mask = Mask((picture.shape[1], picture.shape[0]))
    mask.polygon(outline)
    paint(picture, mask.array(), own)
