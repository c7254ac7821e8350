"""Weights in and out. A checkpoint is a Hugging Face model directory."""
