"""Models to scores: asks a model a benchmark's problems, and scores the answers."""
