"""Turns published questions into prompts and conversations for training."""
