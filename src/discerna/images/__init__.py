"""Pixels: decoding, the stored preprocessing, augmentation, loading."""
