"""Predicted queries against gold queries, by the official rules."""
