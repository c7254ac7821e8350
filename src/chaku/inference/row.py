"""One completion while it is written: its tokens, its text so far, and the reason that ends it."""

import codecs
import random
from typing import Any, Literal

from chaku.inference.constraints import Constraint
from chaku.inference.generator import Completion, SamplingParams
from chaku.inference.healing import Healer
from chaku.inference.prompts import Prompt
from chaku.inference.sampling import row_random
from chaku.tokens.tokenizer import Tokenizer


class Row:
    """One completion while it is written."""

    def __init__(
        self,
        prompt: Prompt,
        params: SamplingParams,
        sample: int,
        tokenizer: Tokenizer,
        end_ids: frozenset[int],
        healer: Healer | None = None,
        constraint: Constraint | None = None,
    ):
        self.params, self.tokens_cut = params, prompt.tokens_cut
        ids = list(prompt.ids)
        self._random: random.Random | None = None
        if not params.is_greedy(sample):
            self._random = row_random(params.seed, ids, sample)
        self._healer = healer
        self.prompt, self._removed = healer.split(ids) if healer else (ids, [])
        # The bytes removed from the prompt's end that the row must write again, perhaps in a longer token.
        self.owed = tokenizer.decode_bytes(self._removed)
        self.num_prompt = len(ids)  # before healing
        self.max_tokens = params.max_tokens + len(self._removed)  # the most ids
        self.num_new = 0  # of the ids, those that write more than the removed bytes
        self.ids: list[int] = []
        self.finish_reason: Literal["stop", "length"] | None = None
        self.stop_text = ""  # the stop string that ended the text
        self._tokenizer, self._end_ids = tokenizer, end_ids
        self.constraint = constraint
        self.matcher: Any = constraint.matcher() if constraint else None  # llguidance's state after the last token
        self._stops = [text.encode() for text in params.stop]
        self._data = bytearray()
        self._sent = 0
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        # A completion at the very beginning of a text starts with Llama's implicit space.
        self._implicit_space = tokenizer.implicit_space and prompt.begins_text

    @property
    def spelling(self) -> list[int] | None:
        """The tokens that may come next while the row owes bytes; None when any token may."""
        return [*self._healer.longer(self.owed), self.removed_next[0]] if self._healer and self.owed else None

    @property
    def removed_next(self) -> list[int]:
        """The tokens that healing removed and that the row has not yet written again, while it owes their bytes."""
        return self._removed[len(self.ids) :] if self.owed else []

    def uniform(self) -> float | None:
        """The random number in [0, 1) that samples the row's next token; None for a greedy row."""
        return self._random.random() if self._random else None

    def take(self, token: int) -> None:
        """Add a token, unless the row is finished."""
        if self.finish_reason is not None:
            return
        self.ids.append(token)
        if self.matcher and not self.matcher.is_stopped():
            self.matcher.consume_token(token)
        written = self._tokenizer.decode_bytes([token])
        self.num_new += not self.owed or len(written) > len(self.owed)
        if token in self._end_ids:
            self.finish_reason = "stop"
            return
        before = len(self._data)
        self._data += written[len(self.owed) :]
        self.owed = self.owed[len(written) :]
        if self._implicit_space and self._data:
            self._implicit_space = False
            if self._data.startswith(b" "):
                del self._data[0]
        found = [(self._data.find(stop, max(before - len(stop) - 1, 0)), stop) for stop in self._stops]
        if ends := [(place, stop) for place, stop in found if place >= 0]:
            place, stop = min(ends)
            del self._data[place:]
            self.finish_reason, self.stop_text = "stop", stop.decode()
        elif self.num_new == self.params.max_tokens:
            self.finish_reason = "length"

    def completion(self) -> Completion:
        assert self.finish_reason is not None
        text = self._data.decode("utf-8", "replace")
        return Completion(text, self.num_new, self.finish_reason, tuple(self.ids), self.tokens_cut)

    def new_text(self) -> str:
        """The new text that is certain: without half characters, and without text that may become a stop string."""
        done = self.finish_reason is not None
        end = len(self._data) - (0 if done else self._held_back())
        piece = self._decoder.decode(bytes(self._data[self._sent : end]), final=done)
        self._sent = max(end, self._sent)
        return piece

    def _held_back(self) -> int:
        lengths = (
            length
            for stop in self._stops
            for length in range(min(len(stop) - 1, len(self._data)), 0, -1)
            if self._data.endswith(stop[:length])
        )
        return max(lengths, default=0)
