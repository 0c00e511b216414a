"""The typed, checked configuration: plain dataclasses without defaults (the YAML in conf/ has those)."""
