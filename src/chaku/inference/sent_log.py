"""Writes every text that is sent to a model into a file, for a user who must know what left the house."""

import json
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from chaku.errors import ChakuError
from chaku.inference.endpoint import prompt_fields
from chaku.inference.generator import Completion, Generator, Request, Wrapper


class SentLog(Wrapper):
    """A generator that appends its requests to `path` before it passes them on; implements `Generator`.

    One line of JSON a request: `time` (UTC), `to` (the endpoint, if there is one), the prompt, and the
    `seed` of the sample. Only the user may read a new file, since prompts may show values of a database. Raises
    ChakuError when the file cannot be written; then nothing is sent.
    """

    def __init__(self, inner: Generator, path: Path):
        super().__init__(inner)
        self._path = path
        append_sent(path, "")

    def answer(self, requests: Sequence[Request]) -> list[Completion]:
        # The identity of a model in this process is the hash of its weights, which takes long.
        to = {"to": self.identity["endpoint"]} if self.tokenizer is None else {}
        lines = [
            {
                "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
                **to,
                **prompt_fields(request.prompt),
                "seed": request.params.seed + request.sample,
            }
            for request in requests
        ]
        append_sent(self._path, "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))
        return self.inner.answer(requests)


def append_sent(path: Path, text: str) -> None:
    """Append lines to a log of sent texts, or with no text make sure that it can be written. Raises ChakuError."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(descriptor, text.encode())  # at once, so that the lines of several threads do not mix
        finally:
            os.close(descriptor)
    except OSError as error:
        raise ChakuError(f"cannot log what is sent to {path}: {error.strerror}; name another file") from error
