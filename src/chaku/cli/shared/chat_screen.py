"""How a reply looks: as it is on a pipe; on a terminal, code blocks line by line in colour."""

import sys
from typing import Protocol

from rich.console import Console
from rich.syntax import Syntax
from rich.text import Text

from chaku.console import CODE_THEME

FENCE = "```"


class Screen(Protocol):
    """Shows one reply while it is written."""

    def show(self, piece: str) -> None: ...

    def end(self) -> None: ...


class PlainScreen:
    """The text, without the white space before it, and a line break after it."""

    def __init__(self) -> None:
        self._begun = False

    def show(self, piece: str) -> None:
        text = piece if self._begun else piece.lstrip()
        self._begun = self._begun or bool(text)
        sys.stdout.write(text)
        sys.stdout.flush()

    def end(self) -> None:
        sys.stdout.write("\n")
        sys.stdout.flush()


class TerminalScreen:
    """Prose as it comes; a code block's lines as each is whole, highlighted with those before it."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(highlight=False)
        self._begun = False
        self._line = ""  # what of the current line is not shown yet
        self._line_shown = False  # whether some of it is
        self._language: str | None = None  # of the open block
        self._code: list[str] = []

    def show(self, piece: str) -> None:
        text = piece if self._begun else piece.lstrip()
        self._begun = self._begun or bool(text)
        *lines, rest = (self._line + text).split("\n")
        self._line = rest
        for line in lines:
            self._whole_line(line)
        may_be_fence = FENCE.startswith(self._line.strip()[:3]) and not self._line_shown
        if self._language is None and self._line and not may_be_fence:
            self._print(Text(self._line), end="")
            self._line, self._line_shown = "", True

    def end(self) -> None:
        if self._line or self._line_shown:
            self._whole_line(self._line)
        self._line = ""

    def _whole_line(self, line: str) -> None:
        shown, self._line_shown = self._line_shown, False
        if not shown and line.strip().startswith(FENCE):
            opens = self._language is None
            self._language = (line.strip()[3:].strip() or "text") if opens else None
            self._code = []
            self._print(Text(line, style="dim"))
        elif self._language is None:
            self._print(Text(line))
        else:
            self._code.append(line)
            syntax = Syntax("", self._language, theme=CODE_THEME, background_color="default")
            self._print(syntax.highlight("\n".join(self._code)).split("\n", allow_blank=True)[len(self._code) - 1])

    def _print(self, text: Text, end: str = "\n") -> None:
        self._console.print(text, end=end, soft_wrap=True)
