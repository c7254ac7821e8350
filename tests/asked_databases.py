"""Databases with a model that writes what a test says, or waits until the test lets it go on."""

import threading

from chaku.api import Model
from chaku.serve.database_settings import Asking
from chaku.serve.databases import Databases, open_databases
from scripted_engine import ScriptedEngine


class Script:
    """`reply`: what the model writes. `asked`: the prompts. `go`: clear it, and the model waits."""

    def __init__(self, engine, reply="SELECT count(*) FROM orders"):
        self.reply, self.asked, self.go, self.begun = reply, [], threading.Event(), threading.Event()
        self.go.set()
        self.engine = ScriptedEngine(engine, self.write)

    def write(self, request):
        self.asked.append(request.prompt.text)
        self.begun.set()
        assert self.go.wait(60)
        return self.reply

    def databases(self, *named, **asking):
        opened = open_databases([str(name) for name in named])
        return Databases(opened, lambda loop: Model(self.engine), Asking(**{"num_samples": 2, **asking}))
