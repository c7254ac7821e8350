"""Reads published conversations and preference pairs from JSONL, JSON, Parquet and Hub data sets."""

import glob
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chaku.corpus.reading import rows
from chaku.corpus.reading.rows import Row, hub_rows, row_format
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


def read_rows(name: str, subset: str | None = None) -> Iterator[Row]:
    """The rows of a path, a folder, a glob or a Hub data set. Raises ChakuError as `find_files` does."""
    files = find_files(name)
    if not files:
        yield from hub_rows(name, subset)
    for file in files:
        yield from rows.read_rows(file)


def read_conversation(row: Row) -> list[Message]:
    """The messages of a row in any of SHAPES. Raises ChakuError, with file and line, for any other row.

    In an Alpaca row, the user's message is the instruction, a blank line and the input.
    """
    fields, where = _fields(row), row.where
    system = [Message("system", fields["system"])] if isinstance(fields.get("system"), str) and fields["system"] else []
    if "messages" in fields:
        return _messages(fields["messages"], where)
    if "conversations" in fields:
        return system + _messages(fields["conversations"], where)
    if "instruction" in fields and "output" in fields:
        instruction, given, output = (fields.get(key) or "" for key in ("instruction", "input", "output"))
        if not all(isinstance(text, str) for text in (instruction, given, output)):
            raise ChakuError(f"{where}: instruction, input and output must be strings")
        asked = f"{instruction}\n\n{given}" if given.strip() else instruction
        return [*system, Message("user", asked), Message("assistant", output)]
    raise ChakuError(f"{where}: a conversation is {SHAPES}; this row has {_keys(fields)}")


def read_preference(row: Row) -> Preference:
    """The pair of a row {"prompt": messages or text, "chosen": ..., "rejected": ...}.

    A reply is a text, or messages that end with it. These messages may repeat the prompt before the reply; the field
    "prompt" may then be missing. Raises ChakuError, with file and line, for any other row.
    """
    fields, where = _fields(row), row.where
    if not {"chosen", "rejected"} <= fields.keys():
        raise ChakuError(f'{where}: a pair is {{"prompt": ..., "chosen": ..., "rejected": ...}}, not {_keys(fields)}')
    given = fields.get("prompt")
    prompt = [Message("user", given)] if isinstance(given, str) else _messages(given or [], where)
    replies = []
    for key in ("chosen", "rejected"):
        reply = fields[key]
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


def _fields(row: Row) -> dict[str, Any]:
    """The row as a JSON object. Raises ChakuError for a row that could not be read, or is no object."""
    problem = row.problem
    if not problem and not isinstance(row.value, dict):
        problem = f"a conversation is {SHAPES}, not {str(row.value)[:40]!r}"
    if not problem and not _is_utf8(row.value):
        problem = "not UTF-8"
    if problem:
        raise ChakuError(f"{row.where}: {problem}")
    return row.value


def _is_utf8(value: Any) -> bool:
    try:
        json.dumps(value, ensure_ascii=False, default=str).encode()
    except UnicodeEncodeError:
        return False
    return True


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
