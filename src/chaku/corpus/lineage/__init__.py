"""Says where each document of a corpus came from, and what became of it."""
