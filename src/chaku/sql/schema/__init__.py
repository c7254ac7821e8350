"""Reads a database's tables, keys and values, and links a question to them."""
