"""Reads published conversations and preference pairs from JSONL, JSON, Parquet and Hub data sets."""

import glob
import io
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chaku.corpus.rows import PROBLEM, hub_rows, open_packed, parquet_rows, row_format
from chaku.errors import ChakuError
from chaku.tokens.chat import Message, Role

SHAPES = (
    '{"messages": [{"role": ..., "content": ...}]}, ShareGPT\'s {"conversations": [{"from": ..., "value": ...}]} or '
    'Alpaca\'s {"instruction": ..., "input": ..., "output": ...}'
)
_ROLES: dict[str, Role] = {
    "system": "system",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "model": "assistant",
    "tool": "tool",
}


@dataclass(frozen=True, slots=True)
class Preference:
    """Two replies to one prompt, the better one first."""

    prompt: list[Message]
    chosen: str
    rejected: str


def find_files(name: str) -> list[Path]:
    """The sorted files of a path, a folder or a glob; an empty list for a Hub id ("owner/name").

    Raises ChakuError for a name without a matching file that cannot be a Hub id.
    """
    path = Path(name)
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.is_file() and row_format(file))
    else:
        files = sorted(Path(file) for file in glob.glob(name, recursive=True) if row_format(Path(file)))  # noqa: PTH207
    parts = name.split("/")
    if not files and (len(parts) != 2 or not all(parts) or path.exists() or row_format(path) or "*" in name):
        raise ChakuError(
            f"{name}: there is no .jsonl, .json or .parquet file (plain, .gz or .zst) of this name, and a Hub data set "
            "is named owner/name"
        )
    return files


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a file. `where`: its file and line, for messages. `value`: the parsed row, or the error in its place."""

    where: str
    value: Any

    def fields(self) -> dict[str, Any]:
        """The row as a JSON object. Raises ChakuError for a row that could not be read, or is no object."""
        if isinstance(self.value, ChakuError):
            raise self.value
        if not isinstance(self.value, dict):
            raise ChakuError(f"{self.where}: a conversation is {SHAPES}, not {str(self.value)[:40]!r}")
        return self.value

    def conversation(self) -> list[Message]:
        """The messages of a row in any of SHAPES. Raises ChakuError, with file and line, for any other row.

        In an Alpaca row, the user's message is the instruction, a blank line and the input.
        """
        return _conversation(self.fields(), self.where)

    def preference(self) -> Preference:
        """The pair of a row {"prompt": messages or text, "chosen": ..., "rejected": ...}.

        A reply is a text, or messages that end with it. These messages may repeat the prompt before the reply; the
        field "prompt" may then be missing. Raises ChakuError, with file and line, for any other row.
        """
        row, where = self.fields(), self.where
        if not {"chosen", "rejected"} <= row.keys():
            raise ChakuError(f'{where}: a pair is {{"prompt": ..., "chosen": ..., "rejected": ...}}, not {_keys(row)}')
        given = row.get("prompt")
        prompt = [Message("user", given)] if isinstance(given, str) else _messages(given or [], where)
        replies = []
        for key in ("chosen", "rejected"):
            reply = row[key]
            messages = [Message("assistant", reply)] if isinstance(reply, str) else _messages(reply, f"{where}: {key}")
            if not messages or messages[-1].role != "assistant":
                raise ChakuError(f"{where}: {key} does not end with a message of the assistant")
            if given is None:
                prompt, given = messages[:-1], messages
            if messages[:-1] not in ([], prompt):
                raise ChakuError(f"{where}: {key} does not begin with the prompt")
            replies.append(messages[-1].content)
        if not prompt:
            raise ChakuError(f"{where}: the pair has no prompt")
        return Preference(prompt, *replies)


def read_rows(name: str, subset: str | None = None) -> Iterator[Row]:
    """The rows of a path, a folder, a glob or a Hub data set.

    A line that is not JSON becomes a `Row` with an error, and so does the unreadable rest of a file. Raises ChakuError
    as `find_files` does.
    """
    files = find_files(name)
    if not files:
        yield from (Row(f"{name}, row {number}", row) for number, row in enumerate(hub_rows(name, subset)))
    for file in files:
        if row_format(file) == "parquet":
            for number, row in enumerate(parquet_rows(file)):
                where = f"{file}, row {number}"
                yield Row(where, ChakuError(f"{where}: {row[PROBLEM]}") if PROBLEM in row else row)
        else:
            yield from _json_rows(file)


def _json_rows(path: Path) -> Iterator[Row]:
    """The rows of a file with one JSON object a line, or with one array of objects."""
    try:
        with io.TextIOWrapper(open_packed(path), encoding="utf-8-sig") as file:
            for number, line in enumerate(file, 1):
                if not line.strip():
                    continue
                if line.lstrip().startswith("["):
                    rows = json.loads(line + file.read())
                    yield from (Row(f"{path}, item {index}", row) for index, row in enumerate(rows))
                    return
                where = f"{path}, line {number}"
                try:
                    yield Row(where, json.loads(line))
                except (json.JSONDecodeError, RecursionError) as error:
                    yield Row(where, ChakuError(f"{where}: not JSON ({error})"))
    except (OSError, EOFError, zlib.error, UnicodeDecodeError, json.JSONDecodeError) as error:
        yield Row(str(path), ChakuError(f"{path}: the rest of the file is not readable JSON ({error})"))


def _conversation(row: dict[str, Any], where: str) -> list[Message]:
    system = [Message("system", row["system"])] if isinstance(row.get("system"), str) and row["system"] else []
    if "messages" in row:
        return _messages(row["messages"], where)
    if "conversations" in row:
        return system + _messages(row["conversations"], where)
    if "instruction" in row and "output" in row:
        instruction, given, output = (row.get(key) or "" for key in ("instruction", "input", "output"))
        if not all(isinstance(text, str) for text in (instruction, given, output)):
            raise ChakuError(f"{where}: instruction, input and output must be strings")
        asked = f"{instruction}\n\n{given}" if given.strip() else instruction
        return [*system, Message("user", asked), Message("assistant", output)]
    raise ChakuError(f"{where}: a conversation is {SHAPES}; this row has {_keys(row)}")


def _messages(given: Any, where: str) -> list[Message]:
    """Messages with the keys role and content, or from and value."""
    if not isinstance(given, list):
        raise ChakuError(f"{where}: the messages are {str(given)[:40]!r}, not a list")
    messages = []
    for number, message in enumerate(given):
        at = f"{where}, message {number}"
        if not isinstance(message, dict):
            raise ChakuError(f"{at}: {str(message)[:40]!r} is no message; a message is an object with role and content")
        role, content = message.get("role", message.get("from")), message.get("content", message.get("value"))
        if role not in _ROLES:
            raise ChakuError(f"{at}: the role {role!r} is unknown; use one of {', '.join(_ROLES)}")
        if isinstance(content, list) and all(isinstance(part, dict) and part.get("type") == "text" for part in content):
            content = "".join(str(part.get("text", "")) for part in content)
        if not isinstance(content, str):
            raise ChakuError(f"{at}: the content is {str(content)[:40]!r}, not a string")
        messages.append(Message(_ROLES[role], content))
    return messages


def _keys(row: dict[str, Any]) -> str:
    return "the keys " + (", ".join(map(str, row)) or "(none)")
