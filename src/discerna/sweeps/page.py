"""sweep.json -> sweep.html: one page that needs nothing but a browser."""

from __future__ import annotations

import json
import math
import re
from base64 import b64encode
from collections.abc import Mapping
from hashlib import sha256
from importlib.resources import files
from typing import Any


def page(told: Mapping[str, Any]) -> str:
    """The content of sweep.json as a page: headline, charts and table, by the script inside it."""
    template = files("discerna.sweeps").joinpath("page.html").read_text("utf-8")
    before, after = template.replace("{{policy}}", _policy(template)).split("{{told}}")
    return before + _embedded(told) + after


def _policy(template: str) -> str:
    """A policy under which the browser runs the template's own style and script, and loads nothing."""
    style, script = (
        b64encode(sha256(re.findall(rf"<{tag}>(.*?)</{tag}>", template, re.DOTALL)[0].encode()).digest())
        for tag in ("style", "script")
    )
    return (
        f"default-src 'none'; img-src data:; style-src 'sha256-{style.decode()}'; "
        f"script-src 'sha256-{script.decode()}'; base-uri 'none'; form-action 'none'"
    )


def _embedded(told: Mapping[str, Any]) -> str:
    r"""JSON that no HTML parser finds a tag, a comment or an entity in: `<` is `\u003c`."""
    text = json.dumps(_finite(told), allow_nan=False, separators=(",", ":"))
    return text.replace("&", r"\u0026").replace("<", r"\u003c").replace(">", r"\u003e")


def _finite(value: Any) -> Any:
    """The value with null for NaN and infinities, which JSON has none of."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(part) for part in value]
    return value
