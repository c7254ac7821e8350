"""Text to verdict: programs run where they can do no harm."""
