"""The environment variables of a program in the sandbox: the same on every machine."""

ENVIRONMENT = {
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "HOME": "/tmp",
    "USER": "sandbox",  # has no entry in /etc/passwd
    "LOGNAME": "sandbox",
    "LC_ALL": "C.UTF-8",
    # One thread a core, at 64 MB of address space a thread, would exceed the memory limit on large machines only.
    "MALLOC_ARENA_MAX": "1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
}
