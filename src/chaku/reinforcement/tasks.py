"""Tasks: the rows of a set as prompts for the model, with the fields that rewards judge by."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chaku.corpus.reading.rows import Row
from chaku.errors import ChakuError
from chaku.files import sha256_json
from chaku.inference.prompts import FILL_ME, Prompt, answer, infill
from chaku.instruct.conversations import read_conversation, read_preference
from chaku.tokens.chat import Chat, Message
from chaku.tokens.tokenizer import Tokenizer


@dataclass(frozen=True)
class Task:
    """A prompt to sample replies to. `messages`: in words (of an infilling task: the text with its hole).

    `fields`: the row.
    """

    key: str
    messages: tuple[Message, ...]
    prompt: Prompt
    fields: Mapping[str, Any]

    @property
    def text(self) -> str:
        """The prompt, for the report and to see what it shows."""
        return "\n\n".join(message.content for message in self.messages)


def read_task(row: Row, chat: Chat, tokenizer: Tokenizer) -> Task:
    """The task of a row: a conversation (its last reply is left out), a "prompt", or a "prefix" and a "suffix".

    Raises ChakuError, with file and line, for any other row.
    """
    fields = row.value if isinstance(row.value, dict) else {}
    if isinstance(fields.get("prefix"), str) and isinstance(fields.get("suffix"), str):
        prefix, suffix = fields["prefix"], fields["suffix"]
        shown = Message("user", f"{prefix}{FILL_ME}{suffix}")
        return Task(_key(fields), (shown,), infill(tokenizer, prefix, suffix), fields)
    messages = _messages(row, fields)
    return Task(_key(fields), tuple(messages), answer(chat, messages), fields)


def _messages(row: Row, fields: Mapping[str, Any]) -> list[Message]:
    """The messages before the last reply."""
    if "prompt" in fields and "messages" not in fields:
        given = dataclasses.replace(row, value={"prompt": fields["prompt"], "chosen": "", "rejected": ""})
        return read_preference(given).prompt
    messages = read_conversation(row)
    if messages and messages[-1].role == "assistant":
        messages = messages[:-1]
    if not messages:
        raise ChakuError(f"{row.where}: the row has no message before its reply; a task needs a prompt")
    return messages


def _key(fields: Mapping[str, Any]) -> str:
    return sha256_json(dict(fields))[:16]


def texts(value: Any) -> tuple[str, ...]:
    """A field with one text or a list of texts, as a tuple; empty for anything else."""
    if isinstance(value, str):
        return (value,)
    return tuple(value) if isinstance(value, Sequence) and all(isinstance(part, str) for part in value) else ()
