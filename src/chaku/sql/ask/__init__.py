"""Turns a question into SQL: the prompt, the writer, the grammar, and the vote among the samples."""
