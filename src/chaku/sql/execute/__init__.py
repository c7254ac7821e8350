"""A query that nobody vouches for: parsed, checked, and run read-only."""
