# timed_out: CPU time
import faulthandler
import resource
import signal

signal.alarm(0)
for timer in (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF):
    signal.setitimer(timer, 0)
faulthandler.cancel_dump_traceback_later()
try:
    resource.setrlimit(resource.RLIMIT_CPU, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
except ValueError:
    pass
signal.pthread_sigmask(signal.SIG_BLOCK, set(signal.Signals))
while True:
    pass
