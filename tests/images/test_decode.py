import errno
import io
import os
import struct
import subprocess
import sys
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from discerna.errors import InvalidDatasetError, UnreadablePictureError
from discerna.images import decode as decode_module
from discerna.images.decode import MAX_PIXELS, decode, picture_size, to_rgb
from discerna.images.heif import is_heif

COLOUR = (200, 100, 50)
LOSSLESS = {"PNG": {}, "TIFF": {}, "BMP": {}, "PPM": {}, "WEBP": {"lossless": True}}


def stored(image, form="PNG", **options):
    stream = io.BytesIO()
    image.save(stream, form, **options)
    return stream.getvalue()


def decoded(data):
    image = decode(io.BytesIO(data))
    assert image.mode == "RGB"
    return np.asarray(image)


def refused(source):
    with pytest.raises(UnreadablePictureError) as caught:
        decode(io.BytesIO(source) if isinstance(source, bytes) else source)
    return caught.value


def noise(width=24, height=16, seed=0):
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8))


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width, height, depth, colour, rows, *chunks):
    """A PNG of a kind that Pillow cannot write."""
    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    body = b"".join(b"\0" + row for row in rows)
    parts = [chunk(b"IHDR", head), *chunks, chunk(b"IDAT", zlib.compress(body)), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


# --- formats and modes


@pytest.mark.parametrize("form", LOSSLESS)
def test_lossless_formats_bit_by_bit(form):
    image = noise()
    assert (decoded(stored(image, form, **LOSSLESS[form])) == np.asarray(image)).all()


@pytest.mark.parametrize("form", ["JPEG", "WEBP", "AVIF", "GIF"])
def test_lossy_formats(form):
    pixels = decoded(stored(Image.new("RGB", (24, 16), COLOUR), form))
    assert pixels.shape == (16, 24, 3)
    assert abs(pixels.mean((0, 1)) - COLOUR).max() < 4


def lab(colour):
    profiles = (ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB")
    return ImageCms.applyTransform(Image.new("RGB", (8, 8), colour), ImageCms.buildTransform(*profiles))


def palette(transparency=None):
    """Left half COLOUR, right half blue; with `transparency` as the PNG or GIF has it."""
    image = Image.new("P", (8, 8), 0)
    image.putpalette([*COLOUR, 0, 0, 250])
    image.paste(1, (4, 0, 8, 8))
    return image, ({} if transparency is None else {"transparency": transparency})


HALF = 128 / 255
MIXED = [HALF * part + 255 * (1 - HALF) for part in COLOUR]
BLUE = (0, 0, 250)
GREY = (77,) * 3
GREY_MIXED = (HALF * 77 + 255 * (1 - HALF),) * 3
PLAIN = Image.new("RGB", (16, 16), COLOUR)


def premultiplied(mode, *pixel):
    return Image.new(mode.upper(), (16, 16), pixel).convert(mode)


OF_A_MODE = {
    "1": (lambda: Image.new("1", (16, 16), 1), (255,) * 3),
    "L": (lambda: Image.new("L", (16, 16), 77), GREY),
    "P": (lambda: palette()[0], np.add(COLOUR, BLUE) / 2),
    "LA": (lambda: Image.new("LA", (16, 16), (77, 128)), GREY_MIXED),
    "La": (lambda: premultiplied("La", 77, 128), GREY_MIXED),
    "PA": (lambda: Image.new("RGBA", (16, 16), (*COLOUR, 128)).convert("PA"), MIXED),
    "RGB": (lambda: PLAIN, COLOUR),
    "RGBX": (lambda: PLAIN.convert("RGBX"), COLOUR),
    "RGBA": (lambda: Image.new("RGBA", (16, 16), (*COLOUR, 128)), MIXED),
    "RGBa": (lambda: premultiplied("RGBa", *COLOUR, 128), MIXED),
    "CMYK": (lambda: PLAIN.convert("CMYK"), COLOUR),
    "YCbCr": (lambda: PLAIN.convert("YCbCr"), COLOUR),
    "LAB": (lambda: lab(COLOUR), COLOUR),
    "HSV": (lambda: PLAIN.convert("HSV"), COLOUR),
    "I": (lambda: Image.new("I", (16, 16), 77 * 257), GREY),
    "I;16": (lambda: Image.new("I;16", (16, 16), 77 * 257), GREY),
    "I;16B": (lambda: Image.new("I;16B", (16, 16), 77 * 257), GREY),
}
"""A picture of each mode that Pillow has, but for floating point, and the mean of its red, green and blue."""

MODES_OF = {
    "JPEG": "L RGB RGBX CMYK YCbCr",
    "MPO": "L RGB CMYK",
    "PNG": "1 L P LA RGB RGBA I;16",
    "WEBP": "L P LA RGB RGBX RGBA",
    "BMP": "1 L P RGB",
    "TIFF": "1 L P LA PA RGB RGBX RGBA CMYK YCbCr LAB I I;16 I;16B",
    "GIF": "1 L P RGB",
    "PPM": "1 L RGB I;16",
    "AVIF": "L LA RGB RGBX RGBA",
}


@pytest.mark.parametrize(
    ("form", "mode"), [(form, m) for form, modes in MODES_OF.items() for m in modes.split()]
)
def test_mean_colour_of_each_mode_in_each_format(form, mode):
    make, expected = OF_A_MODE[mode]
    assert abs(decoded(stored(make(), form)).mean((0, 1)) - expected).max() < 4


@pytest.mark.parametrize("mode", OF_A_MODE)
def test_mean_colour_of_each_mode_of_an_image(mode):
    make, expected = OF_A_MODE[mode]
    image = to_rgb(make(), "picture")
    assert image.mode == "RGB"
    assert abs(np.asarray(image).mean((0, 1)) - expected).max() < 4


def ycck():
    """What Photoshop writes for print: inks inverted, three of them as brightness and colour."""
    inks = PLAIN.convert("CMYK").split()
    coded = Image.merge("RGB", inks[:3]).convert("YCbCr").split()
    # Pillow inverts all four in writing; the last is to be inverted
    bands = [*(band.point(lambda value: 255 - value) for band in coded), inks[3]]
    data = stored(Image.merge("CMYK", bands), "JPEG", quality=95)
    at = data.index(b"Adobe") + 11
    assert data[at] == 0  # CMYK; YCCK is 2
    return data[:at] + b"\2" + data[at + 1 :]


def tiff(bits, pixels, *, size=(2, 1), photometric=1, extra=None, sample=None, order="<"):
    """A TIFF of a kind that Pillow cannot write, its samples packed as given."""
    samples = 1 if extra is None else 2
    tags = {
        256: size[0], 257: size[1], 259: 1, 262: photometric, 273: 0, 277: samples, 278: size[1], 279: len(pixels),
        338: extra, 339: sample,
    }  # fmt: skip
    entries = {
        tag: struct.pack(order + "HIHH", 3, 1, value, 0) for tag, value in tags.items() if value is not None
    }
    entries[258] = struct.pack(order + "HIHH", 3, samples, bits, bits if samples > 1 else 0)
    start = 8 + 2 + 12 * len(entries) + 4
    entries[273] = struct.pack(order + "HIHH", 3, 1, start, 0)
    directory = b"".join(struct.pack(order + "H", tag) + entries[tag] for tag in sorted(entries))
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "IH", 8, len(entries))
    return head + directory + bytes(4) + pixels


MEANS = {
    "RGBA clear": (lambda: stored(Image.new("RGBA", (8, 8), (*COLOUR, 0))), (255,) * 3),
    "RGBA opaque": (lambda: stored(Image.new("RGBA", (8, 8), (*COLOUR, 255))), COLOUR),
    "P one clear": (lambda: stored(palette()[0], transparency=1), np.add(COLOUR, 255) / 2),
    "P gif one clear": (lambda: stored(palette()[0], "GIF", transparency=1), np.add(COLOUR, 255) / 2),
    "P alphas": (
        lambda: stored(palette()[0], transparency=b"\xff\x80"),
        np.add(COLOUR, [127, 127, 252.5]) / 2,
    ),
    "L key": (lambda: png(2, 1, 8, 0, [b"\x10\x20"], chunk(b"tRNS", b"\0\x20")), ((16 + 255) / 2,) * 3),
    "1 key": (lambda: png(8, 1, 1, 0, [b"\x0f"], chunk(b"tRNS", b"\0\0")), (255,) * 3),
    "RGB key": (
        lambda: png(2, 1, 8, 2, [bytes(COLOUR) + b"\1\2\3"], chunk(b"tRNS", b"\0\1\0\2\0\3")),
        np.add(COLOUR, 255) / 2,
    ),
    "YCCK jpeg": (ycck, COLOUR),
    "P tiff": (lambda: stored(palette()[0], "TIFF", compression="tiff_lzw"), np.add(COLOUR, BLUE) / 2),
    "1 white is 0": (lambda: tiff(1, b"\0", photometric=0), (255,) * 3),
    "L white is 0": (lambda: tiff(8, bytes([0, 55]), photometric=0), (227.5,) * 3),
    "La tiff": (lambda: tiff(8, bytes([39, 128] * 2), extra=1), GREY_MIXED),
    "fax": (lambda: stored(Image.new("1", (8, 8), 0), "TIFF", compression="group4"), (0,) * 3),
    "jpeg in tiff": (lambda: stored(PLAIN, "TIFF", compression="jpeg"), COLOUR),
    "large tiff": (lambda: stored(PLAIN, "TIFF", big_tiff=True), COLOUR),
    "P1": (lambda: b"P1 2 1 0 0", (255,) * 3),
    "P2 of 4095": (lambda: b"P2 2 1 4095 900 900", (56,) * 3),
    "P3 of 7": (lambda: b"P3 1 1 7 7 0 7", (255, 0, 255)),
    "P5 of 4095": (lambda: b"P5 2 1 4095 " + struct.pack(">2H", 900, 900), (56,) * 3),
    "P6 of 65535": (lambda: b"P6 1 1 65535 " + struct.pack(">3H", *(257 * c for c in COLOUR)), COLOUR),
    "RGB 16 bits": (lambda: png(1, 1, 16, 2, [struct.pack(">3H", *(257 * c for c in COLOUR))]), COLOUR),
    "RGB 16 bits key": (
        lambda: png(1, 1, 16, 2, [b"\x81\x23" * 3], chunk(b"tRNS", b"\x81\x23" * 3)),
        (255,) * 3,
    ),
    "I;16 key": (
        lambda: png(2, 1, 16, 0, [struct.pack(">2H", 77 * 257, 9)], chunk(b"tRNS", b"\0\x09")),
        ((77 + 255) / 2,) * 3,
    ),
}


@pytest.mark.parametrize("case", MEANS)
def test_mean_colour_of_each_mode(case):
    make, expected = MEANS[case]
    assert abs(decoded(make()).mean((0, 1)) - expected).max() < 3


@pytest.mark.parametrize("form", ["PNG", "TIFF", "PPM"])
def test_16_bit_grey_is_scaled(form):
    values = np.random.default_rng(0).integers(0, 65536, (16, 24)).astype(np.uint16)
    values[0, :2] = 0, 65535
    pixels = decoded(stored(Image.fromarray(values), form))
    assert (pixels[..., 0] == np.rint(values / 257)).all()
    assert abs(pixels.mean() - values.mean() / 257) < 1


def test_16_bit_grey_in_either_byte_order():
    values = np.array([[0, 257 * 9, 65535]], np.uint16)
    for mode in ("I;16", "I;16B"):
        data = stored(
            Image.frombytes(mode, (3, 1), values.astype("<u2" if mode == "I;16" else ">u2").tobytes()), "TIFF"
        )
        assert decoded(data)[0, :, 0].tolist() == [0, 9, 255]


def test_32_bit_integers():
    assert decoded(stored(Image.new("I", (2, 2), 257 * 9), "TIFF")).mean() == 9
    for value in (65536, -1):
        assert refused(stored(Image.new("I", (2, 2), value), "TIFF")).reason == "unsupported_mode"


@pytest.mark.parametrize("photometric", [0, 1])
def test_16_bit_grey_of_either_sense(photometric):
    values = [0, 65535, 257 * 9]
    pixels = decoded(tiff(16, struct.pack("<3H", *values), size=(3, 1), photometric=photometric))
    assert pixels[0, :, 0].tolist() == ([0, 255, 9] if photometric else [255, 0, 246])


def test_12_bit_grey_is_scaled_by_its_own_range():
    pixels = decoded(tiff(12, bytes([0x00, 0x08, 0x00, 0xFF, 0xF0, 0x10]), size=(4, 1)))
    assert pixels[0, :, 0].tolist() == [0, round(0x800 / 4095 * 255), 255, 1]
    with Image.open(io.BytesIO(tiff(12, b"\xff\xff\xff"))) as image:
        assert np.asarray(to_rgb(image, "picture")).min() == 255


@pytest.mark.parametrize(
    "data",
    [
        tiff(16, bytes(8), extra=2),
        tiff(64, bytes(16), sample=3),
        tiff(16, bytes(4), sample=3),
        tiff(16, bytes(4), photometric=0, order=">"),
    ],
    ids=["grey and alpha in 16 bits", "64-bit floats", "16-bit floats", "16 bits, white is 0, big-endian"],
)
def test_a_whole_tiff_of_a_mode_that_is_not_read_is_not_called_damaged(data):
    error = refused(data)
    assert (error.reason, error.accepted) == ("unsupported_mode", "unknown pixel mode")


def test_12_bit_jpeg():
    data = bytearray(stored(PLAIN, "JPEG"))
    data[data.index(b"\xff\xc0") + 4] = 12
    assert refused(bytes(data)).reason == "unsupported_mode"


def test_colour_profiles_are_not_applied():
    strange = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    at = strange.index(b"rXYZ", 128 + 4)
    strange[at + 4 : at + 8] = strange[at + 16 : at + 20]  # red where another colour is
    image = noise()
    for profile in (bytes(strange), b"no profile at all"):
        for form in ("PNG", "TIFF"):
            assert (decoded(stored(image, form, icc_profile=profile)) == np.asarray(image)).all()


def test_floating_point_is_refused():
    error = refused(stored(Image.new("F", (2, 2), 0.5), "TIFF"))
    assert (error.reason, error.accepted) == ("unsupported_mode", "floating-point pixels have no known range")


@pytest.mark.parametrize("form", ["GIF", "WEBP", "PNG", "TIFF", "AVIF", "MPO"])
def test_first_frame_of_an_animation(form):
    frames = [Image.new("RGB", (32, 32), colour) for colour in (COLOUR, BLUE, (9, 9, 9))]
    pixels = decoded(stored(frames[0], form, save_all=True, append_images=frames[1:]))
    assert abs(pixels.mean((0, 1)) - COLOUR).max() < 4


def test_faults_behind_the_first_picture_of_several_do_not_cost_it():
    several = stored(noise(), "MPO", save_all=True, append_images=[noise(48, 40, 1)])
    alone = decoded(several)
    assert alone.shape == (16, 24, 3)
    index = several.index(b"MPF\0")
    for data in (
        several[:-300],
        several[: index + 4] + bytes(60) + several[index + 64 :],
        several[: index + 12] + b"\xff" * 40 + several[index + 52 :],
    ):
        assert (decoded(data) == alone).all()


# --- HEIC


def heic(name):
    return (Path(__file__).parent / "heif" / name).read_bytes()


@pytest.mark.parametrize(
    ("name", "corner", "ground"),
    [
        ("rgb.heic", COLOUR, BLUE),
        ("turned.heic", COLOUR, BLUE),
        ("many.heic", COLOUR, BLUE),
        ("alpha.heic", MIXED, (127, 127, 252)),
        ("grey_10_bits.heic", (124,) * 3, (28,) * 3),
    ],
)
def test_heic(name, corner, ground, tmp_path):
    """Each is 64 x 48, with one colour in the corner at the left of the top and another around it."""
    pixels = decoded(heic(name)).astype(float)
    assert pixels.shape == (48, 64, 3)
    assert abs(pixels[2:22, 2:30].mean((0, 1)) - corner).max() < 3
    assert abs(pixels[26:].mean((0, 1)) - ground).max() < 3
    (tmp_path / "photo.jpg").write_bytes(heic(name))
    assert (np.asarray(decode(tmp_path / "photo.jpg")) == pixels).all()
    assert picture_size(tmp_path / "photo.jpg") == (64, 48)


def test_damaged_heic():
    data = heic("rgb.heic")
    assert refused(data[:-40]).reason == "truncated"
    assert refused(data[:200]).reason == "truncated"
    assert refused(data[:20]).reason == "truncated"


def test_heic_whose_part_has_a_name_that_is_no_text():
    """On which pi-heif would end the process."""
    data = heic("turned.heic")
    assert data.count(b"Exif\0\0\0\0") == 1
    assert refused(data.replace(b"Exif\0\0\0\0", b"\xb6xif\0\0\0\0")).reason == "truncated"


def test_heic_that_is_too_large(monkeypatch):
    monkeypatch.setattr(decode_module, "MAX_PIXELS", 64 * 48 - 1)
    assert refused(heic("rgb.heic")).reason == "too_large"


def test_heic_without_the_extra(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "pi_heif", None)
    path = tmp_path / "a.heic"
    path.write_bytes(heic("rgb.heic"))
    error = refused(path)
    assert error.reason == "missing_extra"
    assert str(error) == (
        f"missing_extra: {path}; HEIC needs the package pi-heif, which is not installed; pip install 'discerna[heif]'"
    )
    assert error.cause == str(error).replace(f"{path}; ", "")
    assert picture_size(path) is None
    assert decoded(stored(PLAIN, "AVIF")).shape == (16, 16, 3)


def test_brands_tell_heic_from_avif():
    def head(main, *others):
        return (
            struct.pack(">I", 16 + 4 * len(others))
            + b"ftyp"
            + main
            + bytes(4)
            + b"".join(others)
            + b"junkavif"
        )

    assert is_heif(head(b"heic", b"mif1"))
    assert is_heif(head(b"mif1", b"mif1", b"heic"))
    assert is_heif(head(b"mif1"))
    assert not is_heif(head(b"avif", b"mif1"))
    assert not is_heif(head(b"mif1", b"miaf", b"avif"))
    assert not is_heif(head(b"isom", b"mp42"))  # a film
    assert not is_heif(b"")


# --- orientation

UNTURNED = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def turned(image, orientation, form, **options):
    """The picture as a camera held that way stores it."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    turn = UNTURNED[orientation]
    return stored(image if turn is None else image.transpose(turn), form, exif=exif, **options)


@pytest.mark.parametrize("orientation", UNTURNED)
@pytest.mark.parametrize("form", ["PNG", "WEBP", "TIFF"])
def test_turned_picture_equals_the_unturned(form, orientation):
    image = noise()
    pixels = decoded(turned(image, orientation, form, **LOSSLESS[form]))
    assert (pixels == np.asarray(image)).all()


@pytest.mark.parametrize("orientation", UNTURNED)
@pytest.mark.parametrize("form", ["JPEG", "AVIF"])
def test_turned_photograph(form, orientation):
    image = Image.new("RGB", (96, 64), BLUE)
    image.paste(COLOUR, (0, 0, 32, 32))
    pixels = decoded(turned(image, orientation, form, quality=95)).astype(int)
    assert abs(pixels - np.asarray(image)).mean() < 5


def test_orientation_6_means_that_the_first_row_is_the_right_side():
    image = Image.new("RGB", (4, 2), "black")
    image.paste("white", (0, 0, 4, 1))
    exif = Image.Exif()
    exif[0x0112] = 6
    pixels = decoded(stored(image, exif=exif))
    assert pixels.shape == (4, 2, 3)
    assert (pixels[:, 1] == 255).all()
    assert (pixels[:, 0] == 0).all()


@pytest.mark.parametrize(
    "exif", [b"Exif\0\0II*\0garbage", b"Exif\0\0MM\0*\0\0\0\x08\xff\xff" + b"\x12" * 40, b"Exif\0\0"]
)
def test_damaged_exif_does_not_cost_the_picture(exif):
    pixels = decoded(stored(Image.new("RGB", (8, 8), COLOUR), "JPEG", exif=exif))
    assert abs(pixels.mean((0, 1)) - COLOUR).max() < 4


@pytest.mark.parametrize("value", [0, 9, 65535])
def test_orientation_that_does_not_exist(value):
    exif = Image.Exif()
    exif[0x0112] = value
    assert decoded(stored(noise(), exif=exif)).shape == (16, 24, 3)


# --- what is refused


def test_empty_and_foreign_files():
    assert refused(b"").reason == "empty"
    for data in (
        b"x",
        b"just text",
        b"\0" * 100,
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"%PDF-1.7 " * 9,
        b"\0\0\0\x18ftypmp42" + b"\0" * 90,
    ):
        assert refused(data).reason == "not_an_image"


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "PPM", "AVIF"])
def test_cut_files(form):
    data = stored(noise(64, 48), form)
    assert refused(data[: len(data) // 2]).reason == "truncated"
    assert refused(data[: len(data) - 40]).reason == "truncated"
    assert refused(data[:30]).reason == "truncated"


def test_photograph_without_its_last_ten_bytes():
    assert refused(stored(noise(64, 48), "JPEG")[:-10]).reason == "truncated"
    assert refused(stored(noise(64, 48), "JPEG", progressive=True)[:-10]).reason == "truncated"


def test_damaged_pixels():
    data = bytearray(stored(noise(64, 48)))
    data[len(data) // 2] ^= 0xFF
    assert refused(bytes(data)).reason == "truncated"


def test_too_large_is_refused_before_decoding():
    assert MAX_PIXELS == 2 * Image.MAX_IMAGE_PIXELS
    bomb = png(30_000, 30_000, 1, 0, [b""])  # its pixels are missing, which decoding would have found
    assert refused(bomb).reason == "too_large"


def test_our_limit_holds_when_pillow_has_none(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    error = refused(png(30_000, 30_000, 1, 0, [b""]))
    assert error.reason == "too_large"
    assert error.accepted == "30000x30000, at most 178956970 pixels are decoded"
    monkeypatch.setattr(decode_module, "MAX_PIXELS", 24 * 16)
    assert decoded(stored(noise(24, 16))).shape == (16, 24, 3)
    assert refused(stored(noise(24, 17))).reason == "too_large"


def test_large_pictures_raise_no_warning(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 200)  # Pillow warns from here to twice as many
    assert decoded(stored(noise(20, 16))).shape == (16, 20, 3)
    assert Image.MAX_IMAGE_PIXELS == 200


def test_files_that_cannot_be_opened(tmp_path):
    missing = refused(tmp_path / "gone.png")
    assert (missing.reason, missing.accepted) == ("unreadable", "No such file or directory")
    assert missing.where == str(tmp_path / "gone.png")
    assert refused(tmp_path).reason == "unreadable"
    (tmp_path / "x.png").write_bytes(stored(noise()))
    # patched, since the superuser reads everything
    with mock.patch.object(
        decode_module, "open", create=True, side_effect=PermissionError(13, "Permission denied")
    ):
        error = refused(str(tmp_path / "x.png"))
    assert (error.reason, error.accepted) == ("unreadable", "Permission denied")


def test_pipes_and_devices_are_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    for path in (tmp_path / "pipe.png", "/dev/zero"):
        error = refused(path)
        assert (error.reason, error.accepted) == ("unreadable", "it is a pipe or a device, not a file")
    assert picture_size(tmp_path / "pipe.png") is None


def test_a_damaged_place_is_no_fault_of_the_disk(tmp_path):
    data = bytearray(stored(PLAIN, "TIFF", big_tiff=True))
    data[8:16] = b"\xff" * 8  # where the directory lies
    (tmp_path / "x.tif").write_bytes(data)  # bytes in memory would raise something else
    assert refused(tmp_path / "x.tif").reason == "truncated"


def test_disk_fault_while_reading():
    class Faulty(io.BytesIO):
        def read(self, *size):
            raise OSError(errno.EIO, "Input/output error")

    assert refused(Faulty(stored(noise()))).reason == "unreadable"


@pytest.mark.parametrize(
    "raised", [SyntaxError("x"), struct.error("x"), ValueError("x"), EOFError(), zlib.error("x"), KeyError(3)]
)
def test_whatever_a_plugin_raises(raised):
    with mock.patch("PIL.ImageFile.ImageFile.load", side_effect=raised):
        assert refused(stored(noise())).reason == "truncated"


def test_out_of_memory():
    with mock.patch("PIL.ImageFile.ImageFile.load", side_effect=MemoryError):
        assert refused(stored(noise())).reason == "too_large"


def test_message_is_one_line_and_names_the_file(tmp_path):
    path = tmp_path / os.fsdecode(b"two\nlines \xff.png")
    path.write_bytes(b"")
    error = refused(path)
    assert isinstance(error, InvalidDatasetError)
    assert str(error) == rf"empty: {tmp_path}/two\nlines \udcff.png; 0 bytes"


# --- doors and surroundings


def test_paths_of_any_kind(tmp_path):
    image = noise()
    for name in (
        "Fotoğraflar (1) žluté=a,b.png",
        "写真.png",
        "two\nlines.png",
        os.fsdecode(b"\xff.png"),
        "photo.jpg",
    ):
        path = tmp_path / name
        image.save(path, "PNG")
        for given_path in (path, str(path)):
            assert (np.asarray(decode(given_path)) == np.asarray(image)).all()


def test_streams_stay_open_and_give_their_name(tmp_path):
    stream = io.BytesIO(stored(noise()))
    decode(stream)
    assert not stream.closed
    assert refused(b"text").where == "picture"
    (tmp_path / "x.png").write_text("text")
    with open(tmp_path / "x.png", "rb") as file:
        assert refused(file).where == str(tmp_path / "x.png")


def test_warnings_of_others_still_come_through():
    decode(io.BytesIO(stored(noise())))
    with pytest.warns(UserWarning, match="ours"):
        warnings.warn("ours", stacklevel=1)


def test_threads_decode_alike_and_leave_the_filters_alone():
    data = [turned(noise(seed=seed), 6, "JPEG", quality=90) for seed in range(8)] * 20
    alone = [decoded(one).tobytes() for one in data]
    filters = list(warnings.filters)
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda one: decoded(one).tobytes(), data))
    assert together == alone
    assert warnings.filters == filters


def test_import_is_free_of_torch():
    code = (
        "import sys, discerna.images.decode, discerna.images.preprocessing\n"
        "print({'torch', 'pi_heif'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


# --- damage of any kind

WHOLE = [
    stored(noise(), "JPEG"),
    stored(noise(), "JPEG", progressive=True, exif=Image.Exif().tobytes()),
    stored(noise()),
    stored(palette()[0], transparency=b"\xff\x80"),
    stored(Image.fromarray(np.arange(384, dtype=np.uint16).reshape(16, 24))),
    stored(noise(), "WEBP"),
    stored(noise(), "BMP"),
    stored(noise(), "TIFF", compression="tiff_lzw"),
    stored(noise(), "TIFF"),
    stored(noise(), "GIF"),
    stored(noise(), "PPM"),
    stored(noise(), "AVIF"),
]


@settings(max_examples=600, deadline=None)
@given(st.data())
def test_damaged_bytes_decode_or_are_refused(data):
    damaged = bytearray(data.draw(st.sampled_from(WHOLE)))
    for _ in range(data.draw(st.integers(0, 4))):
        # most of the structure lies in the beginning
        place = data.draw(st.integers(0, 80) | st.integers(0, len(damaged) - 1))
        damaged[place] = data.draw(st.integers(0, 255))
    del damaged[data.draw(st.just(len(damaged)) | st.integers(0, len(damaged))) :]
    # a limit that keeps a damaged width of 65,535 from costing the test its memory
    with mock.patch.object(decode_module, "MAX_PIXELS", 1_000_000):
        try:
            image = decode(io.BytesIO(bytes(damaged)))
        except UnreadablePictureError as error:
            assert error.reason in ("empty", "not_an_image", "truncated", "unsupported_mode", "too_large")
            return
    assert image.mode == "RGB"
    assert np.asarray(image).shape == (image.height, image.width, 3)
