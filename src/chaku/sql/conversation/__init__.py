"""A conversation with a database: follow-ups, corrections, and a question back where one is needed."""
