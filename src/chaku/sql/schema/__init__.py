"""What a database holds: its tables, keys and values, and which of them a question is about."""
