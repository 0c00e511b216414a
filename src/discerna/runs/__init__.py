"""Runs as their folders tell of them: found, shown, compared, followed, copied."""
