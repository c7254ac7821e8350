"""Programs to verdicts: runs untrusted programs in isolation."""
