"""Posts JSON to a server, and asks again while the server is busy or away."""

import http.client
import json
import os
import random
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from typing import Any

from chaku.console import say
from chaku.errors import ChakuError

ATTEMPTS = 8
FIRST_WAIT, LONGEST_WAIT = 0.5, 30.0  # seconds between attempts; doubled each time
TIMEOUT = 600.0  # seconds of one request: a loaded server queues
AWAY_SECONDS = 5.0  # with `patience`: how long to wait for a server that refuses connections or has no address
TRY_AGAIN = (408, 409, 425, 429, 500, 502, 503, 504)


class Refusal(ChakuError):
    """The server's answer to a request is an error that another attempt would not change."""


def post_json(
    address: str,
    body: dict[str, Any],
    *,
    advice: str,
    hint: Callable[[int], str] = lambda status: "",
    with_key: bool = True,
    timeout: float = TIMEOUT,
    attempts: int = ATTEMPTS,
    patience: float | None = None,
) -> bytes:
    """The body of a server's answer to a POST of `body`.

    Asks again, up to `attempts` times, while the server is busy or away. `timeout`: seconds of one attempt. `patience`:
    seconds of all attempts together, when a person waits; an absent server then gets AWAY_SECONDS. `with_key`: send
    $OPENAI_API_KEY. Raises Refusal, with the server's own words and `hint` (of the status), when the server refuses,
    and ChakuError with `advice` when it stays away.
    """
    headers = {"Content-Type": "application/json"}
    if with_key and (key := os.environ.get("OPENAI_API_KEY")):
        headers["Authorization"] = f"Bearer {key}"
    message = urllib.request.Request(address, json.dumps(body).encode(), headers, method="POST")
    wait, started = FIRST_WAIT, time.monotonic()
    for attempt in range(1, attempts + 1):
        ends = started + (patience or attempts * (timeout + LONGEST_WAIT))
        limit = min(timeout, max(ends - time.monotonic(), 0.1))
        try:
            with urllib.request.urlopen(message, timeout=limit) as response:
                return bytes(response.read())
        except urllib.error.HTTPError as error:
            words = f"{error.code} {error.reason}: {error.read(500).decode('utf-8', 'replace').strip()}"
            asked_to_wait = error.headers.get("Retry-After", "")
            if error.code not in TRY_AGAIN:
                raise Refusal(f"{address} refuses: {words}{hint(error.code)}") from None
        except (OSError, http.client.HTTPException) as error:  # OSError: urllib's errors too
            reason = getattr(error, "reason", error)
            words, asked_to_wait = str(getattr(reason, "strerror", None) or reason), ""
            if isinstance(reason, TimeoutError):
                words = f"timed out after {limit:.3g} s"
            if patience and not isinstance(reason, TimeoutError):
                ends = min(ends, started + AWAY_SECONDS)
        if attempt == attempts:
            break
        if attempt == 1:
            say(f"{address}: {words}; asking again")
        seconds = float(asked_to_wait) if asked_to_wait.isdigit() else wait * (1 + random.random())
        seconds = min(seconds, LONGEST_WAIT)
        if time.monotonic() + seconds >= ends:
            raise ChakuError(f"{address} did not answer in {time.monotonic() - started:.0f} s: {words}")
        time.sleep(seconds)
        wait = min(2 * wait, LONGEST_WAIT)
    times = f" {attempts} times" if attempts > 1 else ""
    raise ChakuError(f"{address} did not answer{times} ({words}); {advice}")


def http_parts(url: str, name: str, example: str) -> urllib.parse.SplitResult:
    """The parts of a URL. Raises ChakuError, with the `name` of its setting, for a URL that is not http(s)."""
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise ChakuError(f"{name} {url!r} is not a URL like {example}")
    return parts
