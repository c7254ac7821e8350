# failed: RecursionError
def f():
    f()


f()
