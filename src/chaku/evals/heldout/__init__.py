"""Measures on the held-out documents of a corpus; they need the model itself, not samples."""
