"""Self-instruct with execution feedback: makes questions, tests and solutions, and judges them by running code."""
