# failed: ValueError: xxx
raise ValueError("x" * 300_000_000)
