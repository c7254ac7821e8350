"""A server with OpenAI's API for tests: it keeps what it was asked, and answers as a test says."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Server:
    """Answers with the prompt and the seed. `troubles` are statuses to give first."""

    def __init__(self):
        self.requests, self.keys, self.paths, self.troubles = [], [], [], []
        self.answer = lambda request: {"choices": [{"text": f"{request['prompt']}/{request['seed']}STOP rest"}]}
        lock = threading.Lock()
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with lock:
                    owner.requests.append(request)
                    owner.keys.append(self.headers.get("Authorization"))
                    owner.paths.append(self.path)
                    trouble = owner.troubles.pop(0) if owner.troubles else None
                if trouble == "hang up":
                    self.close_connection = True
                    return
                body = json.dumps(owner.answer(request) if trouble is None else {"error": "so sorry"}).encode()
                self.send_response(trouble or 200)
                self.send_header("Content-Length", str(len(body)))
                self.send_header("Retry-After", "0")
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *arguments):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/v1"
        threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()


@contextmanager
def running_server() -> Iterator[Server]:
    """On a port of its own until the context ends."""
    server = Server()
    yield server
    server.http.shutdown()
    server.http.server_close()
