"""Finds documents that are nearly the same, and keeps one of them."""
