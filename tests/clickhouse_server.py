"""ClickHouse for tests: the engine of the package chdb behind ClickHouse's HTTP protocol.

`python clickhouse_server.py DIRECTORY` prints its port, and serves until it is ended. Each request has its own
connection, so that a setting such as `readonly` holds for one request, as in a server.
"""

import contextlib
import http.server
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

NOT_SETTINGS = set(
    """buffer_size client_protocol_version compress database default_format enable_http_compression query query_id
    quota_key role session_check session_id session_timeout wait_end_of_query""".split()  # noqa: SIM905
)


@contextlib.contextmanager
def clickhouse(*statements: str) -> Iterator[str]:
    """A running ClickHouse after some statements; yields the URL of its database `shop`."""
    with tempfile.TemporaryDirectory(prefix="chaku-") as home:
        command = [sys.executable, __file__, home, "CREATE DATABASE shop", *statements]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
            try:
                assert server.stdout
                port = server.stdout.readline().strip()
                assert port, "the server does not start"
                yield f"clickhouse://default@127.0.0.1:{port}/shop"
            finally:
                server.kill()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.answer(b"Ok.\n")

    def do_POST(self) -> None:
        sql = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        given = dict(parse_qsl(urlsplit(self.path).query))
        try:
            self.answer(run(given.get("query", "") + sql, given))
        except Exception as error:
            self.answer(str(error).encode(), status=500)

    def answer(self, body: bytes, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        if status != 200:
            self.send_header("X-ClickHouse-Exception-Code", body.decode().partition("Code: ")[2].partition(".")[0])
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None: ...


def run(sql: str, given: dict[str, str]) -> bytes:
    import chdb

    connection = chdb.connect(HOME)
    try:
        connection.query(f"USE {given.get('database') or 'default'}")
        # readonly comes last, since no setting can be changed after it.
        settings = sorted(given.items(), key=lambda pair: pair[0] == "readonly")
        for name, value in settings:
            if name not in NOT_SETTINGS:
                connection.query(f"SET {name} = {value if value.isdigit() else repr(value)}")
        return bytes(connection.query(sql, "TabSeparated").bytes())
    finally:
        connection.close()


if __name__ == "__main__":
    HOME = str(Path(sys.argv[1]) / "data")
    import chdb

    first = chdb.connect(HOME)  # as long as it is open, the engine stays in this process
    first.query(sys.argv[2])
    first.query("USE shop")
    for statement in sys.argv[3:]:
        first.query(statement)
    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    print(server.server_port, flush=True)
    server.serve_forever()
