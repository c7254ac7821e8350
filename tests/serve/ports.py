"""An application on a real port."""

import threading
import time
from contextlib import contextmanager

import uvicorn

from chaku.serve.listening import listen


@contextmanager
def on_a_port(app, **settings):
    """The application on a real port of this machine; yields its URL. `settings`: see `listen`."""
    listening = listen("127.0.0.1", 0, **settings)
    server = uvicorn.Server(uvicorn.Config(app, log_level="error"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(30)
        assert not thread.is_alive()
