"""Secrets stay out of every file: they are masked where settings are written and travel by environment."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

MASK = "***"

_SECRET = re.compile(r"(?:api)?(?:key|token|secret|password|passwd)s?", re.IGNORECASE)
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|[0-9]+")
_URL_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]+@")


def masked(values: Any, secrets: dict[str, Any] | None = None, prefix: str = "") -> Any:
    """The values with secrets replaced; those replaced are put into `secrets` by their dotted key."""
    if isinstance(values, Mapping):
        return {key: _masked_item(str(key), item, secrets, prefix) for key, item in values.items()}
    if isinstance(values, list):
        return [masked(item, secrets, f"{prefix}{i}.") for i, item in enumerate(values)]
    if isinstance(values, str) and _URL_CREDENTIALS.search(values):
        if secrets is not None:
            secrets[prefix.rstrip(".")] = values
        return _URL_CREDENTIALS.sub(f"{MASK}@", values)
    return values


def _masked_item(key: str, item: Any, secrets: dict[str, Any] | None, prefix: str) -> Any:
    if _is_secret(key) and item not in (None, "", [], {}):
        if secrets is not None:
            secrets[f"{prefix}{key}"] = item
        return MASK
    return masked(item, secrets, f"{prefix}{key}.")


def _is_secret(key: str) -> bool:
    """Whether a word of the key says so: api_key, accessKey, secret_id; not keyboard."""
    return any(_SECRET.fullmatch(word) for word in _WORD.findall(key))


def unmasked(values: Any, secrets: Mapping[str, Any], prefix: str = "") -> Any:
    """The inverse of `masked`."""
    if prefix.rstrip(".") in secrets and prefix:
        return secrets[prefix.rstrip(".")]
    if isinstance(values, Mapping):
        return {key: unmasked(item, secrets, f"{prefix}{key}.") for key, item in values.items()}
    if isinstance(values, list):
        return [unmasked(item, secrets, f"{prefix}{i}.") for i, item in enumerate(values)]
    return values
