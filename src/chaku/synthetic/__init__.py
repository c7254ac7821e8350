"""Synthetic data for tests and demonstrations: programming exercises, and a shop database with questions."""
