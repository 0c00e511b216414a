"""Decode damaged pictures one after the other, a line for each: its number, what became of it, milliseconds.

    python -m soaks.decode_each SEED FIRST END MEMORY_LIMIT

The last line tells the most memory that this process had, in MB. A process of its own for `soaks.damage`, which sees by
the lines at which picture it crashed or stopped.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from pathlib import Path

from discerna.errors import UnreadablePictureError
from discerna.images.decode import decode
from peak_memory import peak_memory
from soaks.damaged_pictures import damaged


def main(seed: int, first: int, end: int, memory_limit: int) -> None:
    """Decode these; an exception that is not ours ends the process with its traceback."""
    resource.setrlimit(resource.RLIMIT_AS, (memory_limit, memory_limit))
    with tempfile.TemporaryDirectory() as folder:
        for number in range(first, end):
            path = Path(folder, "picture")  # a true file, which Pillow maps and libtiff reads by itself
            path.write_bytes(damaged(number, seed).data)
            began = time.perf_counter()
            try:
                image = decode(path)
                outcome = "picture" if image.mode == "RGB" and image.width * image.height else "wrong_result"
            except UnreadablePictureError as error:
                outcome = error.reason
            print(number, outcome, round((time.perf_counter() - began) * 1000, 1), flush=True)
    print("memory", peak_memory() >> 20, flush=True)


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
