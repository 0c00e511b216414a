"""Where networks come from besides torchvision."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class NetworksSettings:
    """The settings `networks.*`, in every verb that builds a network."""

    modules: list[str]
