"""Parses, checks and runs an untrusted query, read-only."""
