"""`ChakuError`, the exception for every error that a user can cause."""


class ChakuError(Exception):
    """An error that the user can fix.

    The message says what is wrong, where (a path, a recipe key, a line) and what to do. The command line prints the
    message without a traceback and exits with status 2. Any other exception that reaches the user is a bug in chaku.
    """
