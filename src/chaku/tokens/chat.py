"""Conversations to ids: the prompt that a model reads, and rows to train on with the loss on its replies alone."""

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
_PRIVATE = range(0xE000, 0xF900)  # characters that Unicode gives to no one


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation."""

    role: Role
    content: str


@dataclass(frozen=True, slots=True)
class ChatRow:
    """`ids` of a conversation up to the end of a reply; `trained` says which are the assistant's."""

    ids: list[int]
    trained: list[bool]


class Chat:
    """A tokenizer with a chat template: built-in by name, a Jinja file, or (None) the checkpoint's own.

    `end_id` ends a reply. The ids are those of transformers' `apply_chat_template`, but that no message makes a special
    token: what is spelt like one stays text. Raises ChakuError as `find_template` does, and for a template whose
    replies do not follow its prompts or end in no special token: there is no telling then what a model is to learn.
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
        # transformers lets some special tokens take the white space beside them.
        stripping = {token["content"]: token for token in tokenizer.definition["added_tokens"]}
        self._cuts = re.compile("|".join(_cut(name, stripping.get(name, {})) for name in longest_first))
        marks = components(tokenizer.definition.get("pre_tokenizer"))
        self._space_once = any(mark.get("prepend_scheme") == "first" for mark in marks)
        self.end_id = self.reply([Message("user", "1")], "2").ids[-1]

    def prompt(self, messages: Sequence[Message], opening: str = "") -> list[int]:
        """The ids that the assistant's next reply follows, or with `opening`, its beginning, the rest of the reply."""
        before, table = self._render(messages, open_turn=True)
        ids = self._encode(before, table)
        return ids + self._encode(opening, {}, follows=self._goes_on(before)) if opening else ids

    def rows(self, messages: Sequence[Message]) -> list[ChatRow]:
        """The rows that a conversation trains on: for every reply its prompt, the reply, and what ends it.

        A row that the next prompt begins with goes on there, so that most templates make one row of a conversation; of
        those that show a past reply otherwise than it was written (without its reasoning, say) each reply has a row of
        its own. Raises ChakuError when there is no reply, and as `reply` does.
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
            raise ChakuError("the conversation has no message of the assistant: there is nothing to learn from it")
        return rows

    def reply(self, messages: Sequence[Message], content: str) -> ChatRow:
        """The prompt, the reply and what ends it; the reply is encoded apart, as it is written apart.

        Raises ChakuError when the template refuses the conversation, or shows the reply otherwise than its prompt
        announces it.
        """
        told = [*messages, Message("assistant", content)]
        before, table = self._render(told, open_turn=True)
        after, _ = self._render(told, open_turn=False)
        if not after.startswith(before):
            raise ChakuError(
                "the chat template shows a reply otherwise than its prompt announces it (the prompt is not how the "
                f"finished turn begins): {_difference(before, after)}. Use another template, such as "
                f"{', '.join(BUILTIN)}"
            )
        reply = after[len(before) :]
        reply = reply[: self._end(reply.translate(table), reply, content)]
        prompt = self._encode(before, table)
        ids = self._encode(reply, table, follows=self._goes_on(before))
        return ChatRow(prompt + ids, [False] * len(prompt) + [True] * len(ids))

    def _render(self, messages: Sequence[Message], *, open_turn: bool) -> tuple[str, dict[int, str]]:
        """The text, and the table that gives messages their characters back: in it, none spells a special token.

        Of what is spelt like one, the first character is another. An open turn leaves the assistant's last message out.
        """
        used = set(self.template).union(*(message.content for message in messages))
        free = (chr(code) for code in _PRIVATE if chr(code) not in used)
        masks = {character: next(free) for character in sorted({name[0] for name in self._special})}
        spelt = re.compile(f"(?s)(?={self._names.pattern}).")
        plain = [
            {"role": message.role, "content": spelt.sub(lambda found: masks[found[0]], message.content)}
            for message in messages
        ]
        if open_turn and messages and messages[-1].role == "assistant":
            plain.pop()
        text = render(self.template, plain, add_generation_prompt=open_turn, **self._variables)
        return text, {ord(mask): character for character, mask in masks.items()}

    def _end(self, shown: str, reply: str, content: str) -> int:
        """Where the first special token after a reply's content ends; `shown` is the reply in its own characters."""
        found = shown.find(content.strip())
        token = self._names.search(reply, found + len(content.strip()) if found >= 0 else 0)
        if token is None:
            raise ChakuError(
                "the chat template ends a reply with no special token, so that a model could not learn where to stop; "
                f"use another, such as {', '.join(BUILTIN)}"
            )
        return token.end()

    def _goes_on(self, before: str) -> bool:
        """Whether what follows a text goes on in it, without Llama's implicit space."""
        cuts = list(self._cuts.finditer(before))
        return self._space_once if cuts and cuts[-1].end() == len(before) else bool(before)

    def _encode(self, text: str, table: dict[int, str], *, follows: bool = False) -> list[int]:
        """`follows`: text stands before it. Else it has Llama's implicit space, as each text after a special token."""
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
