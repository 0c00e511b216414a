"""Keys for random draws that depend on what is drawn for, not on when or where."""

from __future__ import annotations

import hashlib


def mix(*parts: int | str) -> int:
    """A number of 64 bits from the parts, such as (seed, epoch, picture); any whole number will do.

    A hash, since neighbouring seeds of a generator give related streams and sums of parts collide.
    """
    digest = hashlib.blake2b(digest_size=8)
    for part in parts:
        # hex, as Python refuses to write very large numbers in decimal
        text = f"i{part:x}" if isinstance(part, int) else f"s{part}"
        data = text.encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(8, "big") + data)
    return int.from_bytes(digest.digest(), "big")
