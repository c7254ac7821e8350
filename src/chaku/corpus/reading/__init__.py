"""Reads sources: files, rows, commits and notebooks become documents."""
