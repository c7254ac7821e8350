"""The untrusted process of a Python job with tests: runs the candidate's text, then answers calls."""

import os
import socket
import sys
import types

from chaku.sandbox.guest.source import FILE, make_module
from chaku.sandbox.guest.wire import Gone, Peer, describe

NAMESPACE = 0  # the object number of the candidate's global namespace


def main(channel: socket.socket, source: str) -> None:
    """Report the names that the text defines, or its failure; then answer until the judge hangs up. Never returns.

    The text runs as an imported module: code under `if __name__ == "__main__"` is not tested.
    """
    peer = Peer(channel)
    leave = os._exit  # the candidate may replace functions of os
    sys.modules["__main__"] = types.ModuleType("__main__")
    module = make_module("program", source)
    try:
        try:
            exec(compile(source, FILE, "exec"), module.__dict__)
        except BaseException as error:
            peer.send(["raise", *describe(error)])
            leave(1)
        peer.number_of(module.__dict__)
        names = [[name, isinstance(value, types.ModuleType)] for name, value in list(module.__dict__.items())]
        peer.send(["ready", names])
        while True:
            peer.answer(peer.receive())
    except Gone:
        leave(0)
