"""What chaku knows about each database engine: one file an engine."""
