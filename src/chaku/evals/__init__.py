"""Model to score: one file a benchmark."""
