"""The sample pictures that the Azure ML designer put into its trained models, `_samples.json`.

    [{"image": "<a picture file in base64>"}, ...]

They are the only trace of how large the pictures were that the model was trained on.
"""

from __future__ import annotations

import base64
from pathlib import Path

from discerna.directories.inner_files import inner_bytes
from discerna.directories.model_files import Fault, parse_json

FILE = "_samples.json"

LIMIT = 64 << 20
"""Of three pictures, as they came from a camera, in base64."""


def sample_pictures(folder: Path) -> list[bytes]:
    """The picture files in it, still encoded; none where there are none, or the file makes no sense."""
    try:
        entries = parse_json(inner_bytes(folder, FILE, LIMIT), FILE)
        # Up to a comma stands what some writers put first: data:image/png;base64,
        texts = [entry["image"].rpartition(",")[2] for entry in entries]
        return [base64.b64decode(text, validate=True) for text in texts]
    except (Fault, OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return []  # a model can be had without them
