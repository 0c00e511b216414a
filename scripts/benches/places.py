"""Where the benches keep things; git ignores build/."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[2]
BENCH = ROOT / "build" / "bench"
PICTURES = BENCH / "pictures"
PACKAGES = BENCH / "packages"
RESULTS = BENCH / "recipes.jsonl"
