# failed: too large
def f(x):
    return "4" * 100_000_000
