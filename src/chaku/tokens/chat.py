"""Encode conversations: as a prompt for the model, or as training rows with the loss on the replies only."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from chaku.errors import ChakuError
from chaku.tokens.definition import components
from chaku.tokens.special import token_name
from chaku.tokens.templates import BUILTIN, find_template, render
from chaku.tokens.tokenizer import Tokenizer

Role = Literal["system", "user", "assistant", "tool"]
_PRIVATE = range(0xE000, 0xF900)  # Unicode's private-use characters


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation."""

    role: Role
    content: str


@dataclass(frozen=True, slots=True)
class ChatRow:
    """`ids` of a conversation up to the end of a reply; `trained`: its loss mask, True for the assistant's tokens."""

    ids: list[int]
    trained: list[bool]


class Chat:
    """A tokenizer with a chat template: a built-in template's name, a Jinja file, or (None) the checkpoint's template.

    `end_id` is the token that ends a reply. The ids equal those of transformers' `apply_chat_template`, except that a
    message can never produce a special token: a special token's name in a message stays text. Raises ChakuError as
    `find_template` does, and for a template that cannot be trained on: its prompt is not the beginning of the finished
    turn, or its reply ends without a special token.
    """

    def __init__(self, tokenizer: Tokenizer, template: str | None = None):
        self.tokenizer = tokenizer
        self.template = find_template(tokenizer, template)
        config = tokenizer.config
        self._variables = {
            "bos_token": token_name(config, "bos_token") or tokenizer.pieces[tokenizer.bos_id],
            "eos_token": tokenizer.pieces[tokenizer.eos_id],
            **{key: token_name(config, key) for key in ("unk_token", "pad_token") if token_name(config, key)},
        }
        needed = BUILTIN[template].tokens if template in BUILTIN else ()
        self._special = {tokenizer.pieces[number]: number for number in sorted(tokenizer.special_ids)}
        self._special |= {piece: tokenizer.pieces.index(piece) for piece in needed}
        longest_first = sorted(self._special, key=len, reverse=True)
        self._names = re.compile("|".join(map(re.escape, longest_first)))
        # In transformers, some special tokens swallow the white space beside them.
        stripping = {token["content"]: token for token in tokenizer.definition["added_tokens"]}
        self._cuts = re.compile("|".join(_cut(name, stripping.get(name, {})) for name in longest_first))
        marks = components(tokenizer.definition.get("pre_tokenizer"))
        self._space_once = any(mark.get("prepend_scheme") == "first" for mark in marks)
        self.end_id = self.reply([Message("user", "1")], "2").ids[-1]

    def prompt(self, messages: Sequence[Message], opening: str = "") -> list[int]:
        """The ids of the prompt for the assistant's next reply. `opening`: the beginning of that reply."""
        before, table = self._render(messages, open_turn=True)
        ids = self._encode(before, table)
        return ids + self._encode(opening, {}, follows=self._is_followed(before)) if opening else ids

    def rows(self, messages: Sequence[Message]) -> list[ChatRow]:
        """The training rows of a conversation: for every reply, its prompt, the reply and its end token.

        If the next prompt begins with a row, that row is extended, so that most templates give one row per
        conversation. A template that changes past replies (removes their reasoning, say) gives one row per reply.
        Raises ChakuError when there is no reply, and as `reply` does.
        """
        rows: list[ChatRow] = []
        for number, message in enumerate(messages):
            if message.role == "assistant":
                row = self.reply(messages[:number], message.content)
                if rows and row.ids[: len(rows[-1].ids)] == rows[-1].ids and not any(row.trained[: len(rows[-1].ids)]):
                    seen = rows.pop().trained
                    row = ChatRow(row.ids, seen + row.trained[len(seen) :])
                rows.append(row)
        if not rows:
            raise ChakuError("the conversation has no assistant message to train on; leave it out")
        return rows

    def reply(self, messages: Sequence[Message], content: str) -> ChatRow:
        """The row of a prompt, a reply and its end token.

        The reply is encoded apart from the prompt, because the model generates it apart. Raises ChakuError when the
        template refuses the conversation, and when its prompt is not the beginning of the finished turn.
        """
        turns = [*messages, Message("assistant", content)]
        before, table = self._render(turns, open_turn=True)
        after, _ = self._render(turns, open_turn=False)
        if not after.startswith(before):
            raise ChakuError(
                "the chat template's prompt is not the beginning of the finished turn: "
                f"{_difference(before, after)}. Use another template, such as {', '.join(BUILTIN)}"
            )
        reply = after[len(before) :]
        reply = reply[: self._end(reply.translate(table), reply, content)]
        prompt = self._encode(before, table)
        ids = self._encode(reply, table, follows=self._is_followed(before))
        return ChatRow(prompt + ids, [False] * len(prompt) + [True] * len(ids))

    def _render(self, messages: Sequence[Message], *, open_turn: bool) -> tuple[str, dict[int, str]]:
        """Render the conversation; returns the text, and the table that undoes the masks of `str.translate`.

        In the messages, the first character of any text that spells a special token is masked by a private-use
        character, so that a message can never produce a special token. `open_turn` leaves the assistant's last message
        out.
        """
        used = set(self.template).union(*(message.content for message in messages))
        free = (chr(code) for code in _PRIVATE if chr(code) not in used)
        masks = {character: next(free) for character in sorted({name[0] for name in self._special})}
        first_character = re.compile(f"(?s)(?={self._names.pattern}).")
        plain = [
            {"role": message.role, "content": first_character.sub(lambda found: masks[found[0]], message.content)}
            for message in messages
        ]
        if open_turn and messages and messages[-1].role == "assistant":
            plain.pop()
        text = render(self.template, plain, add_generation_prompt=open_turn, **self._variables)
        return text, {ord(mask): character for character, mask in masks.items()}

    def _end(self, shown: str, reply: str, content: str) -> int:
        """The end of the first special token after a reply's content. `shown`: the rendered reply without masks."""
        found = shown.find(content.strip())
        token = self._names.search(reply, found + len(content.strip()) if found >= 0 else 0)
        if token is None:
            raise ChakuError(
                "the chat template ends a reply without a special token, so a model could not learn where to stop; "
                f"use another template, such as {', '.join(BUILTIN)}"
            )
        return token.end()

    def _is_followed(self, before: str) -> bool:
        """Whether a text after `before` continues `before`, and so has no implicit space of Llama's."""
        cuts = list(self._cuts.finditer(before))
        return self._space_once if cuts and cuts[-1].end() == len(before) else bool(before)

    def _encode(self, text: str, table: dict[int, str], *, follows: bool = False) -> list[int]:
        """Encode a rendered text. `follows`: it continues another text; else it gets Llama's implicit space."""
        ids: list[int] = []
        at = 0
        for cut in [*self._cuts.finditer(text), None]:
            part = text[at : cut.start() if cut else None].translate(table)
            ids += self.tokenizer.encode_infilling(part) if follows else self.tokenizer.encode(part)
            if cut:
                ids.append(self._special[self._names.search(cut[0])[0]])  # type: ignore[index]
                at, follows = cut.end(), self._space_once
        return ids


def _cut(name: str, added: dict) -> str:
    return (r"\s*" if added.get("lstrip") else "") + re.escape(name) + (r"\s*" if added.get("rstrip") else "")


def _difference(before: str, after: str) -> str:
    at = next((index for index, pair in enumerate(zip(before, after, strict=False)) if pair[0] != pair[1]), len(after))
    start = max(at - 20, 0)
    return f"{before[start : at + 20]!r} against {after[start : at + 20]!r}"
