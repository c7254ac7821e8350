"""The command line, one file a verb: parse, call, print. No decision is made here."""

from chaku.cli.entry import main

__all__ = ["main"]
