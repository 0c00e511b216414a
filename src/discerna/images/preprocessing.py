"""The stored preprocessing as Pillow operations: any RGB picture -> the square that a network sees."""

from __future__ import annotations

from PIL import Image

from discerna.settings.preprocessing import Preprocessing

RESAMPLING = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
    "nearest": Image.Resampling.NEAREST,
}


def fit_picture(image: Image.Image, spec: Preprocessing) -> Image.Image:
    """The RGB picture as a square of `spec.size` pixels, the way `spec.fit` says."""
    filter_ = RESAMPLING[spec.interpolation]
    if spec.fit == "stretch":
        return image.resize((spec.size, spec.size), filter_)
    if spec.fit == "pad":
        return _padded(image, spec)
    # One resize out of the middle square that is kept. Making the short side `resize` long first and
    # cropping then would blow 5000x1 pixels up to 1,280,000x256.
    side = min(image.size) * spec.size / spec.resize
    left, top = (image.width - side) / 2, (image.height - side) / 2
    return image.resize((spec.size, spec.size), filter_, box=(left, top, left + side, top + side))


def ground_colour(spec: Preprocessing) -> tuple[int, int, int]:
    """The mean colour in 8 bits: what `pad` puts around a picture, close to 0 once it is normalised."""
    red, green, blue = (min(max(round(mean * 255), 0), 255) for mean in spec.mean)
    return red, green, blue


def _padded(image: Image.Image, spec: Preprocessing) -> Image.Image:
    scale = spec.size / max(image.size)
    width, height = (max(1, round(length * scale)) for length in image.size)
    ground = Image.new("RGB", (spec.size, spec.size), ground_colour(spec))
    fitted = image.resize((width, height), RESAMPLING[spec.interpolation])
    ground.paste(fitted, ((spec.size - width) // 2, (spec.size - height) // 2))
    return ground
