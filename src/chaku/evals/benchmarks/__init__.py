"""Benchmarks: one file each; what several share is beside them."""
