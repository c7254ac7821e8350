"""Conversations and preference pairs in the shapes that they are published in: JSONL, JSON, Parquet, Hub data sets."""

import glob
import io
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chaku.corpus.rows import hub_rows, open_packed, parquet_rows, row_format
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
    """The files that a path, a folder or a glob names, sorted; none for a Hub id ("owner/name").

    Raises ChakuError for a name that is neither.
    """
    path = Path(name)
    if path.is_dir():
        files = sorted(each for each in path.rglob("*") if each.is_file() and row_format(each))
    else:
        files = sorted(Path(each) for each in glob.glob(name, recursive=True) if row_format(Path(each)))  # noqa: PTH207
    parts = name.split("/")
    if not files and (len(parts) != 2 or not all(parts) or path.exists() or row_format(path) or "*" in name):
        raise ChakuError(f"{name} names no .jsonl, .json or .parquet file (plain, .gz or .zst), and no Hub data set")
    return files


def read_conversations(name: str, subset: str | None = None) -> Iterator[tuple[str, list[Message]]]:
    """(where it stands, its messages) of each conversation, the shape found row by row.

    An Alpaca row's input follows its instruction after a blank line. Raises ChakuError, naming file and line, for a row
    of no known shape, and as `find_files` does.
    """
    for where, row in _rows(name, subset):
        yield where, _conversation(row, where)


def read_preferences(name: str, subset: str | None = None) -> Iterator[tuple[str, Preference]]:
    """As `read_conversations`, of {"prompt": messages or text, "chosen": ..., "rejected": ...}.

    A reply is a text, or messages that end in it (and may begin with the prompt, which may then be left out).
    """
    for where, row in _rows(name, subset):
        if not {"chosen", "rejected"} <= row.keys():
            raise ChakuError(f'{where}: a pair is {{"prompt": ..., "chosen": ..., "rejected": ...}}, not {_keys(row)}')
        given = row.get("prompt")
        prompt = [Message("user", given)] if isinstance(given, str) else _messages(given or [], where)
        replies = []
        for key in ("chosen", "rejected"):
            said = row[key]
            messages = [Message("assistant", said)] if isinstance(said, str) else _messages(said, f"{where}: {key}")
            if not messages or messages[-1].role != "assistant":
                raise ChakuError(f"{where}: {key} does not end with a message of the assistant")
            if given is None:
                prompt, given = messages[:-1], messages
            if messages[:-1] not in ([], prompt):
                raise ChakuError(f"{where}: {key} does not begin with the prompt")
            replies.append(messages[-1].content)
        if not prompt:
            raise ChakuError(f"{where}: the pair has no prompt")
        yield where, Preference(prompt, *replies)


def _rows(name: str, subset: str | None) -> Iterator[tuple[str, dict[str, Any]]]:
    files = find_files(name)
    if not files:
        yield from ((f"{name}, row {number}", row) for number, row in enumerate(hub_rows(name, subset)))
    for file in files:
        if row_format(file) == "parquet":
            yield from ((f"{file}, row {number}", row) for number, row in enumerate(parquet_rows(file)))
        else:
            yield from _json_rows(file)


def _json_rows(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """One object a line, or one array of them in the whole file."""
    try:
        with io.TextIOWrapper(open_packed(path), encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                if not line.strip():
                    continue
                if line.lstrip().startswith("["):
                    rows = json.loads(line + file.read())
                    yield from ((f"{path}, item {index}", _object(row, path)) for index, row in enumerate(rows))
                    return
                try:
                    row = json.loads(line)
                except (json.JSONDecodeError, RecursionError) as error:
                    raise ChakuError(f"{path}, line {number}: not JSON ({error})") from None
                yield f"{path}, line {number}", _object(row, f"{path}, line {number}")
    except (OSError, EOFError, zlib.error, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ChakuError(f"{path} is not readable JSON: {error}") from error


def _object(row: Any, where: object) -> dict[str, Any]:
    if not isinstance(row, dict):
        raise ChakuError(f"{where}: a conversation is {SHAPES}, not {str(row)[:40]!r}")
    return row


def _conversation(row: dict[str, Any], where: str) -> list[Message]:
    system = [Message("system", row["system"])] if isinstance(row.get("system"), str) and row["system"] else []
    if "messages" in row:
        return _messages(row["messages"], where)
    if "conversations" in row:
        return system + _messages(row["conversations"], where)
    if "instruction" in row and "output" in row:
        instruction, given, output = (row.get(key) or "" for key in ("instruction", "input", "output"))
        if not all(isinstance(each, str) for each in (instruction, given, output)):
            raise ChakuError(f"{where}: instruction, input and output must be texts")
        asked = f"{instruction}\n\n{given}" if given.strip() else instruction
        return [*system, Message("user", asked), Message("assistant", output)]
    raise ChakuError(f"{where}: a conversation is {SHAPES}; this row has {_keys(row)}")


def _messages(given: Any, where: str) -> list[Message]:
    """Messages in either spelling: role and content, or from and value."""
    if not isinstance(given, list):
        raise ChakuError(f"{where}: the messages are {str(given)[:40]!r}, not a list")
    messages = []
    for number, each in enumerate(given):
        at = f"{where}, message {number}"
        if not isinstance(each, dict):
            raise ChakuError(f"{at}: {str(each)[:40]!r} is no message; it needs a role and a content")
        role, content = each.get("role", each.get("from")), each.get("content", each.get("value"))
        if role not in _ROLES:
            raise ChakuError(f"{at}: the role {role!r} is none of {', '.join(_ROLES)}")
        if isinstance(content, list) and all(isinstance(part, dict) and part.get("type") == "text" for part in content):
            content = "".join(str(part.get("text", "")) for part in content)
        if not isinstance(content, str):
            raise ChakuError(f"{at}: the content is {str(content)[:40]!r}, not a text")
        messages.append(Message(_ROLES[role], content))
    return messages


def _keys(row: dict[str, Any]) -> str:
    return "the keys " + (", ".join(map(str, row)) or "(none)")
