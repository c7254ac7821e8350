"""The numbers that both forms of the search for docstrings, in Python and compiled, share."""

MIN_CHARACTERS = 80  # a longer docstring is prose; a shorter one names a thing again
FOUND, UNFINISHED, UNDECIDED = 0, 1, 2  # a search's result; a string has no end; only the search in Python can tell
