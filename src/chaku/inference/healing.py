"""Token healing: a prompt that ends inside a token is continued as if it had not been cut there.

The tokens of "def retu" differ from the first tokens of "def return", so a model that was trained on whole words cannot
go on from "def retu". Healing removes the last tokens from the prompt. The model then writes the removed tokens again,
or, at any of them, a longer token that begins with the rest of their bytes: "return", say. The completion begins after
the removed bytes, so no character is repeated or lost. The removed tokens are known before the model reads them, so one
step always reaches the first new text.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence

from chaku.tokens.tokenizer import Tokenizer


class Healer:
    """Removes the last tokens of a prompt, and lists the longer tokens that may come in their place."""

    def __init__(self, tokenizer: Tokenizer):
        self._tokenizer, self._encode = tokenizer, tokenizer.encode_infilling
        pieces = ((tokenizer.decode_bytes([number]), number) for number in range(tokenizer.vocab_size))
        ordered = sorted((text, number) for text, number in pieces if text)  # special tokens spell nothing
        self._texts = [text for text, _ in ordered]
        self._ids = [number for _, number in ordered]
        self._longest = max(map(len, self._texts))

    def split(self, prompt: Sequence[int]) -> tuple[list[int], list[int]]:
        """The prompt without its last tokens, and the removed tokens.

        Finds the longest end of the text that is the beginning of a longer token, and removes the tokens that spell it.
        Removes nothing when no end of the text begins a longer token, or when the last token is special (an infilling
        mark, BOS). A prompt that would become empty becomes BOS, as in `prompts.complete`.
        """
        start = len(prompt)
        while start > max(0, len(prompt) - self._longest) and prompt[start - 1] not in self._tokenizer.special_ids:
            start -= 1
        text = self._tokenizer.decode_bytes(prompt[start:])
        lengths = range(min(len(text), self._longest - 1), 0, -1)
        open_end = next((length for length in lengths if self._begins_longer(text[-length:])), 0)
        keep = len(prompt)
        while len(self._tokenizer.decode_bytes(prompt[keep:])) < open_end:
            keep -= 1
        removed = list(prompt[keep:])
        if removed and (spaces := self._tokenizer.decode_bytes(removed[-1:])).endswith(b"  ") and not spaces.strip():
            # A word has the space before it, so an indentation of four spaces is three and the space of a word.
            removed[-1:] = [*self._encode(spaces[:-1].decode()), *self._encode(" ")]
        return list(prompt[:keep]) or [self._tokenizer.bos_id], removed

    def longer(self, text: bytes) -> list[int]:
        """The tokens that begin with `text` and are longer."""
        return self._ids[slice(*self._range(text))]

    def _begins_longer(self, text: bytes) -> bool:
        first, last = self._range(text)
        return first < last

    def _range(self, text: bytes) -> tuple[int, int]:
        """The range, in `_texts`, of the tokens that begin with `text` and are longer."""
        head = text.rstrip(b"\xff")
        after = head[:-1] + bytes([head[-1] + 1]) if head else None  # sorts after all that begin with `text`
        return bisect_right(self._texts, text), len(self._texts) if after is None else bisect_left(self._texts, after)
