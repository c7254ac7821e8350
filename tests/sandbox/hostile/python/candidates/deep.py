# failed: nested too deeply
def f(x):
    result = 4
    for _ in range(100_000):
        result = [result]
    return result
