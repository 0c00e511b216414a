import errno
import io
import os
import struct
import subprocess
import sys
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from discerna.errors import InvalidDatasetError, UnreadablePictureError
from discerna.images import decode as decode_module
from discerna.images.decode import MAX_PIXELS, decode

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
MEANS = {
    "RGB": (lambda: stored(Image.new("RGB", (8, 8), COLOUR)), COLOUR),
    "L": (lambda: stored(Image.new("L", (8, 8), 77)), (77,) * 3),
    "1": (lambda: stored(Image.new("1", (8, 8), 1)), (255,) * 3),
    "CMYK jpeg": (lambda: stored(Image.new("RGB", (8, 8), COLOUR).convert("CMYK"), "JPEG"), COLOUR),
    "CMYK tiff": (lambda: stored(Image.new("RGB", (8, 8), COLOUR).convert("CMYK"), "TIFF"), COLOUR),
    "YCbCr": (
        lambda: stored(Image.new("RGB", (8, 8), COLOUR).convert("YCbCr"), "TIFF", compression="tiff_lzw"),
        COLOUR,
    ),
    "LAB": (lambda: stored(lab(COLOUR), "TIFF"), COLOUR),
    "RGBA half": (lambda: stored(Image.new("RGBA", (8, 8), (*COLOUR, 128))), MIXED),
    "RGBA webp": (lambda: stored(Image.new("RGBA", (8, 8), (*COLOUR, 128)), "WEBP", lossless=True), MIXED),
    "RGBA tiff": (lambda: stored(Image.new("RGBA", (8, 8), (*COLOUR, 128)), "TIFF"), MIXED),
    "RGBA clear": (lambda: stored(Image.new("RGBA", (8, 8), (*COLOUR, 0))), (255,) * 3),
    "RGBA opaque": (lambda: stored(Image.new("RGBA", (8, 8), (*COLOUR, 255))), COLOUR),
    "LA half": (lambda: stored(Image.new("LA", (8, 8), (77, 128))), (HALF * 77 + 255 * (1 - HALF),) * 3),
    "P": (lambda: stored(palette()[0]), np.add(COLOUR, BLUE) / 2),
    "P gif": (lambda: stored(palette()[0], "GIF"), np.add(COLOUR, BLUE) / 2),
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
    assert abs(decoded(make()).mean((0, 1)) - expected).max() < 2


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


def test_floating_point_is_refused():
    error = refused(stored(Image.new("F", (2, 2), 0.5), "TIFF"))
    assert (error.reason, error.accepted) == ("unsupported_mode", "floating-point pixels have no known range")


@pytest.mark.parametrize("form", ["GIF", "WEBP", "PNG", "TIFF", "AVIF"])
def test_first_frame_of_an_animation(form):
    frames = [Image.new("RGB", (32, 32), colour) for colour in (COLOUR, BLUE, (9, 9, 9))]
    pixels = decoded(stored(frames[0], form, save_all=True, append_images=frames[1:]))
    assert abs(pixels.mean((0, 1)) - COLOUR).max() < 4


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
    code = "import sys, discerna.images.decode, discerna.images.preprocessing; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


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
