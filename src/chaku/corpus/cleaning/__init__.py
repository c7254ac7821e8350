"""Decides which documents stay, and takes secrets and personal data out of them."""
