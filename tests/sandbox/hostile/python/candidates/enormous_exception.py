# failed: ValueError: xxx
def f(x):
    raise ValueError("x" * 300_000_000)
