"""Directories on disk: pictures with labels, and models. No torch at import."""
