"""The Hugging Face Hub in small: one repository, as huggingface_hub asks for it."""

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

LARGE_BYTES = 1000  # a file from this size on is stored with its SHA-256, as git LFS does


class Hub:
    """`files` is what the newest commit holds; older commits are kept. `cut` hangs up after so many bytes, once."""

    def __init__(self, repository: str, files: dict[str, bytes]):
        self.repository, self.commits, self.cut, self.asked = repository, {}, {}, []
        self.commit(files)
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                path = urlsplit(self.path).path
                owner.asked.append((self.command, path, self.headers.get("Range")))
                if path.startswith(f"/{owner.repository}/resolve/"):
                    revision, _, name = path.removeprefix(f"/{owner.repository}/resolve/").partition("/")
                    self.send_file(revision, name)
                elif path.startswith(f"/api/models/{owner.repository}/tree/"):
                    self.send_json([owner.in_tree(name, data) for name, data in owner.at(path.split("/")[-1]).items()])
                elif path in (f"/api/models/{owner.repository}", f"/api/models/{owner.repository}/revision/main"):
                    self.send_json(owner.about(owner.newest))
                elif path.startswith(f"/api/models/{owner.repository}/revision/"):
                    self.send_json(owner.about(path.split("/")[-1]))
                else:
                    self.send_response(404)
                    self.send_header("X-Error-Code", "RepoNotFound")
                    self.send_header("Content-Length", "0")
                    self.end_headers()

            do_HEAD = do_GET

            def send_json(self, value):
                body = json.dumps(value).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def send_file(self, revision, name):
                data = owner.at(revision)[name]
                start = int((self.headers.get("Range") or "bytes=0-").removeprefix("bytes=").split("-")[0])
                self.send_response(206 if start else 200)
                self.send_header("X-Repo-Commit", revision)
                self.send_header("ETag", f'"{owner.hash_of(data)}"')
                self.send_header("Accept-Ranges", "bytes")
                self.send_header("Content-Length", str(len(data) - start))
                self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
                self.end_headers()
                if self.command == "GET":
                    end = owner.cut.pop(name, len(data))
                    self.wfile.write(owner.damage(name, data)[start:end])
                    self.close_connection = end < len(data)

            def log_message(self, *arguments):
                pass

        self.damage = lambda name, data: data
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def commit(self, files: dict[str, bytes]) -> str:
        """Make a newer commit; its hash."""
        self.newest = hashlib.sha1(repr(sorted(files.items())).encode()).hexdigest()
        self.commits[self.newest] = dict(files)
        return self.newest

    def at(self, revision: str) -> dict[str, bytes]:
        return self.commits[self.newest if revision == "main" else revision]

    def about(self, revision: str) -> dict:
        siblings = [self.sibling(name, data) for name, data in self.at(revision).items()]
        return {"id": self.repository, "sha": revision, "siblings": siblings, "tags": []}

    def sibling(self, name: str, data: bytes) -> dict:
        large = {"lfs": {"sha256": self.hash_of(data), "size": len(data), "pointerSize": 130}}
        return {"rfilename": name, "size": len(data), "blobId": blob(data), **(large if is_large(data) else {})}

    def in_tree(self, name: str, data: bytes) -> dict:
        large = {"lfs": {"oid": self.hash_of(data), "size": len(data), "pointerSize": 130}}
        return {"type": "file", "path": name, "size": len(data), "oid": blob(data), **(large if is_large(data) else {})}

    @staticmethod
    def hash_of(data: bytes) -> str:
        return hashlib.sha256(data).hexdigest() if is_large(data) else blob(data)


def is_large(data: bytes) -> bool:
    return len(data) >= LARGE_BYTES


def blob(data: bytes) -> str:
    """Git's hash of a file."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


@contextmanager
def running_hub(repository: str, files: dict[str, bytes], monkeypatch, cache) -> Iterator[Hub]:
    """A Hub that huggingface_hub asks until the context ends, with a cache of its own."""
    from huggingface_hub import constants

    hub = Hub(repository, files)
    monkeypatch.setattr(constants, "ENDPOINT", hub.url)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", hub.url + "/{repo_id}/resolve/{revision}/{filename}")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    yield hub
    hub.http.shutdown()
    hub.http.server_close()
