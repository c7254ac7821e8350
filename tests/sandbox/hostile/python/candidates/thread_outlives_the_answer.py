# failed: AssertionError: assert f(2) == 4
import threading
import time


def f(x):
    threading.Thread(target=time.sleep, args=(600,)).start()
    return x
