"""Batches to weights: the trainer, its saved state, the losses and the learning rate schedule."""
