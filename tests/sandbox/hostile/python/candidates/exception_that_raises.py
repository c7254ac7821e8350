# failed: Nasty
def f(x):
    class Nasty(Exception):
        def __str__(self):
            raise self

        __repr__ = __str__

    raise Nasty
