# failed:
import sys
import threading


def trace(frame, event, argument):
    frame.f_trace_lines = True
    try:
        frame.f_lineno = frame.f_lineno + 1
    except ValueError:
        pass
    return trace


sys.settrace(trace)
threading.settrace(trace)


def f(x):
    frame = sys._getframe()
    while frame is not None:
        frame.f_trace = trace
        frame = frame.f_back
    return x
