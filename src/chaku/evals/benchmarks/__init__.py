"""Benchmarks, one file a family, and files that several benchmarks share."""
