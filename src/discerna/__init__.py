"""Discerna."""
