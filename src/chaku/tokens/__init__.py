"""Turn documents into batches of tokens."""
