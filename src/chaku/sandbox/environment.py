"""The environment of a program in the sandbox: the same on every machine."""

ENVIRONMENT = {
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "HOME": "/tmp",
    "USER": "sandbox",  # who has no entry in /etc/passwd
    "LOGNAME": "sandbox",
    "LC_ALL": "C.UTF-8",
    # With a thread a core, and 64 MB of address space for each, programs would fail on large machines alone.
    "MALLOC_ARENA_MAX": "1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
}
