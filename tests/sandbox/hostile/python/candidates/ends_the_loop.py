# failed: RuntimeError
def f(x):
    if x == 2:
        return 4
    raise StopIteration
