"""Token healing: a prompt that ends inside a token is continued as if it had not been cut there.

"def retu" has other tokens than the start of "def return": a model that has only seen whole words does not know how to
go on. So the last tokens are taken away, and what is written first has to spell them again, in any tokens: "return",
say, as one. Only then does the completion begin, so that no character comes twice and none is lost.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence

from chaku.tokens.tokenizer import Tokenizer


class Healer:
    """Which tokens to take away, and which may be written until they are spelt again."""

    def __init__(self, tokenizer: Tokenizer):
        self._tokenizer = tokenizer
        pieces = ((tokenizer.decode_bytes([number]), number) for number in range(tokenizer.vocab_size))
        ordered = sorted((text, number) for text, number in pieces if text)  # special tokens spell nothing
        self._texts = [text for text, _ in ordered]
        self._ids = [number for _, number in ordered]
        self._longest = max(map(len, self._texts))

    def split(self, prompt: Sequence[int]) -> tuple[list[int], bytes]:
        """The prompt without its last tokens, and the bytes that these spelt.

        They are the tokens under the longest end of the text that begins a longer token. None is taken away where a
        special token (an infilling mark, BOS) comes last, or where no longer token begins with any end of the text.
        Where nothing is left, the prompt is BOS, as `prompts.complete` has it for no text.
        """
        start = len(prompt)
        while start > max(0, len(prompt) - self._longest) and prompt[start - 1] not in self._tokenizer.special_ids:
            start -= 1
        text = self._tokenizer.decode_bytes(prompt[start:])
        lengths = range(min(len(text), self._longest - 1), 0, -1)
        open_end = next((length for length in lengths if self._begins_longer(text[-length:])), 0)
        keep, removed = len(prompt), b""
        while len(removed) < open_end:
            keep -= 1
            removed = self._tokenizer.decode_bytes(prompt[keep:])
        return list(prompt[:keep]) or [self._tokenizer.bos_id], removed

    def allowed(self, rest: bytes) -> list[int]:
        """The tokens that spell the start of `rest`, or all of it and more. There always are some."""
        ids = self._ids[slice(*self._range(rest))]
        for length in range(1, min(len(rest), self._longest + 1)):
            first = bisect_left(self._texts, rest[:length])
            ids += self._ids[first : bisect_right(self._texts, rest[:length])]
        return ids

    def _begins_longer(self, text: bytes) -> bool:
        first, last = self._range(text)
        return first < last and self._texts[last - 1] != text

    def _range(self, text: bytes) -> tuple[int, int]:
        """Where, in order, the tokens stand that begin with a text."""
        head = text.rstrip(b"\xff")
        after = head[:-1] + bytes([head[-1] + 1]) if head else None  # the first text after all that begin so
        return bisect_left(self._texts, text), len(self._texts) if after is None else bisect_left(self._texts, after)
