"""Batches to weights: one trainer, its state that a kill leaves whole, losses, and the learning rate."""
