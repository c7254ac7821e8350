"""The one exception that a user can cause."""


class ChakuError(Exception):
    """Something that the user can put right.

    The message says what is wrong, where (a path, a recipe key, a line) and what to do. The command line prints it
    without a traceback and exits with status 2; anything else that escapes is a bug in chaku.
    """
