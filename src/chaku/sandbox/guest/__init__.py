"""What runs inside the sandbox. It imports nothing of the rest of chaku, and little else, for speed and safety."""
