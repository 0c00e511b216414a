"""The soaks of scripts/soak: what is done very many times, in search of what a test would not meet."""
