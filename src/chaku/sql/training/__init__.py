"""Published questions to prompts and conversations to learn from."""
