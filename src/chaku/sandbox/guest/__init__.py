"""The code that runs inside the sandbox. It imports nothing from the rest of chaku, and little else, for speed and
safety.
"""
