"""Ends a text where llama.cpp does: before a line with less indentation, or at a line's end after some time."""

import re
import time

# Line breaks, blank lines, and a line's indentation. One match takes all of the white space and reads no place twice,
# since a model may write thousands of line breaks.
_BREAK = re.compile(r"\r?\n\s*|\r\Z")


class EarlyEnd:
    """`indent`: the least white space before every line but the first (blank lines do not count); 0: any.

    `seconds`: a text that has taken longer ends with the piece that ends its line; None: any.
    """

    def __init__(self, indent: int = 0, seconds: float | None = None):
        self._indent, self._seconds = indent, seconds
        self._begun: float | None = None
        self._held = ""
        self.done = False

    def take(self, text: str, last: bool = False) -> str:
        """The part of a new piece that belongs to the text. Holds line breaks back until the next line has begun."""
        self._begun = self._begun or time.monotonic()
        if self._seconds is not None and "\n" in text and time.monotonic() > self._begun + self._seconds:
            self.done = True
        if not self._indent:
            return text
        text, self._held = self._held + text, ""
        for found in _BREAK.finditer(text):
            if found.end() < len(text):
                if len(found[0]) - found[0].rindex("\n") - 1 < self._indent:
                    self.done = True
                    return text[: found.start()]
            elif not (last or self.done):  # how the line begins is not known yet
                text, self._held = text[: found.start()], found[0]
        return text
