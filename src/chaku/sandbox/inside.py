"""What runs first inside the sandbox: a supervisor, and a child that gives up its rights and runs the program.

`python -c` is given the text of this file: it imports nothing of chaku, and little else, for speed. Arguments: the
descriptors of the settings (marshal), of the child's report (nonce, status and reason, divided by line ends) and of the
supervisor's outcome (`started`, exit status as a shell gives it, CPU seconds). The report counts only with the nonce in
it, which is why a program that leaves early (`os._exit(0)`) fails. The child has no descriptor of the outcome.
"""

import marshal
import os
import resource
import sys


def limit_resources(settings: dict) -> None:
    """Limits that the program cannot raise again. CPU seconds are whole; chaku judges the fraction."""
    megabyte = 2**20
    cpu = settings["cpu_seconds"]
    limits = {
        resource.RLIMIT_CPU: (cpu, cpu + 1),  # a program may catch the soft limit's signal; the hard one kills
        resource.RLIMIT_AS: (settings["memory_mb"] * megabyte,) * 2,
        resource.RLIMIT_FSIZE: (32 * megabyte,) * 2,
        resource.RLIMIT_NOFILE: (128,) * 2,
        resource.RLIMIT_CORE: (0, 0),
    }
    if settings["max_processes"]:
        limits[resource.RLIMIT_NPROC] = (settings["max_processes"],) * 2
    for which, limit in limits.items():
        resource.setrlimit(which, limit)


def drop_rights(user: int) -> None:
    """Become an ordinary user that nothing else on the machine runs as."""
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)


def describe(error: BaseException) -> str:
    """The error's type and message, whatever its own methods do."""
    name = type(error).__name__
    try:
        return f"{name}: {str(error)[:500]}".rstrip(": ")
    except BaseException:
        return name


def run_program(settings: dict, report_to: int) -> None:
    """The child. It never returns."""
    if settings["user"] is not None:
        drop_rights(settings["user"])
    limit_resources(settings)
    sys.argv[:] = ["program.py"]
    source, nonce = settings.pop("program"), settings.pop("nonce")
    # Kept under names of our own: the program may replace functions of os and sys.
    write, leave, flushes = os.write, os._exit, (sys.stdout.flush, sys.stderr.flush)
    main_module = type(sys)("__main__")
    main_module.__dict__.update(__builtins__=__builtins__, __file__="program.py")
    sys.modules["__main__"] = main_module
    status, reason = "passed", ""
    try:
        exec(compile(source, "program.py", "exec"), main_module.__dict__)
    except MemoryError:
        status, reason = "out_of_memory", f"needed more than {settings['memory_mb']} MB"
    except SystemExit as error:
        status, reason = "failed", f"left before its end ({describe(error)})"
    except BaseException as error:
        status, reason = "failed", describe(error)
    for flush in flushes:
        try:
            flush()
        except BaseException:
            status = status  # a closed output is the program's own affair
    write(report_to, f"{nonce}\n{status}\n{reason}".encode("utf-8", "replace"))
    leave(0)


def main() -> None:
    settings_from, report_to, outcome_to = (int(argument) for argument in sys.argv[1:4])
    os.write(outcome_to, b"started ")
    child = os.fork()
    if child == 0:
        os.close(outcome_to)
        with os.fdopen(settings_from, "rb") as file:
            settings = marshal.load(file)
        run_program(settings, report_to)
    for descriptor in (0, 1, 2, settings_from, report_to):
        os.close(descriptor)
    _, status, usage = os.wait4(child, 0)
    code = os.waitstatus_to_exitcode(status)
    code = code if code >= 0 else 128 - code
    os.write(outcome_to, f"{code} {usage.ru_utime + usage.ru_stime}".encode())
    os._exit(0)


main()
