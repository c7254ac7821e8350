"""Measures on held-out documents of a corpus: they ask the model itself, not samples of it."""
