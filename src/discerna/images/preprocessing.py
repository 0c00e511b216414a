"""The stored preprocessing as Pillow operations: any RGB picture -> the square that a network sees."""

from __future__ import annotations

from dataclasses import replace

from PIL import Image

from discerna.settings.preprocessing import Preprocessing

RESAMPLING = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
    "nearest": Image.Resampling.NEAREST,
}


def fit_picture(
    image: Image.Image, spec: Preprocessing, across: float = 0.5, down: float = 0.5
) -> Image.Image:
    """The RGB picture as a square of `spec.size` pixels, the way `spec.fit` says.

    `across` and `down`, 0 to 1, tell the place of what a crop keeps, or of the picture on its ground.
    """
    if spec.grayscale:
        image = image.convert("L").convert("RGB")
    if not spec.border:
        return _fitted(image, spec, across, down)
    inner = replace(spec, size=spec.inner, border=0)
    ground = Image.new("RGB", (spec.size, spec.size), ground_colour(spec))
    ground.paste(_fitted(image, inner, across, down), (spec.border, spec.border))
    return ground


def _fitted(image: Image.Image, spec: Preprocessing, across: float, down: float) -> Image.Image:
    filter_ = RESAMPLING[spec.interpolation]
    if spec.fit == "stretch":
        return image.resize((spec.size, spec.size), filter_)
    if spec.fit == "pad":
        return _padded(image, spec, across, down)
    # One resize out of the middle square that is kept. Making the short side `resize` long first and
    # cropping then would blow 5000x1 pixels up to 1,280,000x256.
    side = min(image.size) * spec.size / spec.resize
    left, top = (image.width - side) * across, (image.height - side) * down
    return image.resize((spec.size, spec.size), filter_, box=(left, top, left + side, top + side))


def ground_colour(spec: Preprocessing) -> tuple[int, int, int]:
    """The mean colour in 8 bits: what lies around a picture, close to 0 once it is normalised."""
    red, green, blue = (min(max(round(mean * 255), 0), 255) for mean in spec.mean)
    if spec.grayscale:
        grey = round(0.299 * red + 0.587 * green + 0.114 * blue)  # as Pillow weighs them
        return grey, grey, grey
    return red, green, blue


def _padded(image: Image.Image, spec: Preprocessing, across: float, down: float) -> Image.Image:
    scale = spec.size / max(image.size)
    width, height = (max(1, round(length * scale)) for length in image.size)
    ground = Image.new("RGB", (spec.size, spec.size), ground_colour(spec))
    fitted = image.resize((width, height), RESAMPLING[spec.interpolation])
    ground.paste(fitted, (int((spec.size - width) * across), int((spec.size - height) * down)))
    return ground
