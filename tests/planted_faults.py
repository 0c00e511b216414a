"""A labelled picture set with one of each fault planted, and what a check must say of it."""

from __future__ import annotations

import io
import os
import random
import shutil
import struct
import zlib
from pathlib import Path

from PIL import Image, ImageDraw

LABELS = ("cat", "dog", "frog", "newt")


def drawn(number: int, side: int = 48) -> Image.Image:
    """A picture that looks like no other number's."""
    draw = random.Random(number)
    image = Image.new("RGB", (side, side), tuple(draw.randrange(256) for _ in range(3)))
    pen = ImageDraw.Draw(image)
    for _ in range(12):
        corners = [draw.randrange(side) for _ in range(4)]
        box = (
            min(corners[0], corners[2]),
            min(corners[1], corners[3]),
            max(corners[0], corners[2]) + 1,
            max(corners[1], corners[3]) + 1,
        )
        pen.rectangle(box, fill=tuple(draw.randrange(256) for _ in range(3)))
    return image


def clean(root: Path, train: int = 12, valid: int = 4) -> Path:
    """train/ and valid/ in which nothing is wrong."""
    number = 0
    for part, count in (("train", train), ("valid", valid)):
        for label in LABELS:
            (root / part / label).mkdir(parents=True)
            for n in range(count):
                number += 1
                drawn(number).save(root / part / label / f"{n}.png")
    return root


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def bomb() -> bytes:
    """A PNG whose header claims 40,000 x 40,000 pixels."""
    head = struct.pack(">IIBBBBB", 40_000, 40_000, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", head), (b"IDAT", zlib.compress(b"\0" * 100)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in chunks
    )


def plant(root: Path) -> dict[tuple[str, str], int]:
    """One of each fault in a clean set; (code, where) -> count."""
    train, valid = root / "train", root / "valid"
    cat, dog = train / "cat", train / "dog"
    jpeg = encoded(drawn(1000, 200), "JPEG")
    (cat / "cut.jpg").write_bytes(jpeg[: len(jpeg) // 2])
    (cat / "cut_late.jpg").write_bytes(jpeg[:-10])
    (cat / "nothing.png").write_bytes(b"")
    (cat / "text.jpg").write_text("this is no picture at all")
    (cat / "float.tif").write_bytes(encoded(Image.new("F", (30, 30), 0.5), "TIFF"))
    (cat / "bomb.png").write_bytes(bomb())
    (cat / "png_as.jpg").write_bytes(encoded(drawn(1001), "PNG"))
    drawn(1002).save(cat / "moving.gif", save_all=True, append_images=[drawn(1003)])
    drawn(1004, 8).save(cat / "tiny.png")
    drawn(1005, 300).resize((300, 20)).save(cat / "long.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    drawn(1006, 64).save(cat / "turned.jpg", exif=exif)
    drawn(1007).convert("RGBA").save(cat / "alpha.png")
    shutil.copy(cat / "0.png", cat / "copy.png")
    shutil.copy(cat / "1.png", dog / "contradiction.png")
    shutil.copy(dog / "2.png", valid / "dog" / "leak.png")
    big = drawn(1008, 160)
    big.save(train / "frog" / "big.png")
    big.resize((100, 100), Image.Resampling.LANCZOS).save(train / "frog" / "near.jpg", quality=90)
    other = drawn(1009, 160)
    other.save(train / "frog" / "other.png")
    other.resize((120, 120), Image.Resampling.LANCZOS).save(valid / "frog" / "near_leak.jpg", quality=90)
    third = drawn(1010, 160)
    third.save(train / "frog" / "third.png")
    third.resize((120, 120), Image.Resampling.LANCZOS).save(dog / "near_contradiction.jpg", quality=90)
    (cat / ".hidden.png").write_bytes(b"x")
    (cat / "Thumbs.db").write_bytes(b"x")
    (cat / "notes.txt").write_text("mine")
    drawn(1011).save(train / "loose.png")
    (cat / "gone.png").symlink_to(root / "nowhere.png")
    (cat / "loop").symlink_to(train)
    os.mkfifo(cat / "pipe.png")
    drawn(1012).save(os.fsdecode(os.fsencode(cat) + b"/caf\xe9.png"))
    for label in ("Cat", "toad"):
        (train / label).mkdir()
    for n in range(12):
        drawn(2000 + n).save(train / "Cat" / f"{n}.png")
    drawn(2100).save(train / "toad" / "0.png")
    (valid / "unicorn").mkdir()
    for n in range(4):
        drawn(2200 + n).save(valid / "unicorn" / f"{n}.png")
    (train / "empty").mkdir()
    both = "train_data, valid_data"
    return {
        ("labels_missing", "valid_data"): 2,  # Cat, toad
        ("labels_extra", "valid_data"): 1,
        ("empty_label", "train_data"): 1,
        ("empty", "train_data"): 1,
        ("not_an_image", "train_data"): 1,
        ("truncated", "train_data"): 2,
        ("unsupported_mode", "train_data"): 1,
        ("too_large", "train_data"): 1,
        ("leak", both): 1,
        ("two_labels", both): 1,
        ("few_pictures", "train_data"): 1,
        ("imbalance", "train_data"): 1,
        ("similar_labels", "train_data"): 1,
        ("duplicates", "train_data"): 1,
        ("near_leak", both): 1,
        ("near_two_labels", both): 1,
        ("near_duplicates", "train_data"): 1,
        ("wrong_extension", "train_data"): 1,
        ("animated", "train_data"): 1,
        ("tiny", "train_data"): 1,
        ("long", "train_data"): 1,
        ("no_label", "train_data"): 1,
        ("not_used", "train_data"): 1,
        ("not_a_file", "train_data"): 2,
        ("broken_link", "train_data"): 1,
        ("bad_name", "train_data"): 1,
        ("modes", "train_data"): 2,  # RGBA, and the palette of a GIF
        ("turned", "train_data"): 1,
        ("hidden", "train_data"): 2,
    }
