"""Infilling: a document is cut at two random characters and its middle moved to the end (paper 2.3)."""

from dataclasses import dataclass

import numpy as np

from chaku.errors import ChakuError
from chaku.tokens.config import InfillingConfig
from chaku.tokens.special import MODES, InfillingTokens, Mode
from chaku.tokens.tokenizer import Tokenizer

__all__ = ["MODES", "Infilled", "Infiller", "Mode", "infill_text", "layout", "recover_text"]


@dataclass(frozen=True, slots=True)
class Infilled:
    """`ids` of a training sequence, int32, from BOS to EOS; `mode` is None when the document was left as it is."""

    ids: np.ndarray
    mode: Mode | None


def infill_text(tokenizer: Tokenizer, text: str, first: int, second: int, mode: Mode) -> list[int]:
    """The training sequence of a text cut before characters `first` <= `second`, by encoding its parts anew.

    PSM: BOS PRE enc(prefix) SUF enc_inf(suffix) MID enc_inf(middle) EOT EOS.
    SPM: BOS PRE SUF enc_inf(suffix) MID enc(prefix + middle) EOT EOS, prefix and middle joined as text.
    EOS after EOT: the paper does not say; Meta trained with BOS and EOS. Where EOT is EOS it stands once.
    """
    tokens = layout(tokenizer, mode)
    prefix, middle, suffix = text[:first], text[first:second], text[second:]
    tail = tokenizer.encode_infilling(suffix)
    if mode == "psm":
        parts = [*tokens.arrange(mode, tokenizer.encode(prefix), tail), tokenizer.encode_infilling(middle)]
    else:
        parts = tokens.arrange(mode, tokenizer.encode(prefix + middle), tail)
    return _enclose(tokenizer, tokens, *parts).tolist()


def recover_text(tokenizer: Tokenizer, ids: list[int] | np.ndarray) -> str:
    """The document of a training sequence, infilled or not."""
    ids = [int(token) for token in ids]
    assert ids[0] == tokenizer.bos_id
    assert ids[-1] == tokenizer.eos_id
    tokens = tokenizer.infilling
    if tokens is None or ids[1] not in (tokens.prefix, tokens.suffix):
        return tokenizer.decode(ids[1:-1])
    at_end = ids.index(tokens.end, 1)
    at_prefix, at_suffix = ids.index(tokens.prefix), ids.index(tokens.suffix)
    if tokens.middle is None:
        suffix = tokenizer.decode_infilling(ids[at_suffix + 1 : at_prefix])
        return tokenizer.decode(ids[at_prefix + 1 : at_end]) + suffix
    at_middle = ids.index(tokens.middle)
    prefix = tokenizer.decode(ids[at_prefix + 1 : at_suffix])
    suffix = tokenizer.decode_infilling(ids[at_suffix + 1 : at_middle])
    middle = ids[at_middle + 1 : at_end]
    joined = at_suffix == 2  # SPM; an empty prefix in PSM looks the same, and only the implicit space tells
    if joined and (not middle or tokenizer.decode_infilling(middle).startswith(" ")):
        spm = tokenizer.decode(middle)
        psm = tokenizer.decode_infilling(middle)
        # enc("x") begins with the implicit space and enc_inf(" x") with a real one: the same ids, so PSM with an empty
        # prefix and a middle that begins with a space cannot be told from SPM. Training draws both; tests say which.
        return (spm if tokenizer.encode(spm) == middle else psm) + suffix
    return prefix + tokenizer.decode_infilling(middle) + suffix


def layout(tokenizer: Tokenizer, mode: Mode | None = None) -> InfillingTokens:
    """The infilling tokens and their places. Raises ChakuError for a vocabulary without them, or without `mode`."""
    tokens = tokenizer.infilling
    if tokens is None:
        raise ChakuError(
            "the model has no infilling tokens; `chaku models` says which models can infill "
            "(in a recipe, leave `infilling` out)"
        )
    if mode is not None and mode not in tokens.modes:
        raise ChakuError(f"the {tokens.family} family does not infill in mode {mode}; use {' or '.join(tokens.modes)}")
    return tokens


class Infiller:
    """Infills documents held as token ids, equal to `infill_text`; for Llama's tokenizers much faster.

    There a line break is a token of its own that joins no other, so a line's tokens depend on that line alone. Each cut
    is found by counting characters per token, and only the line that it falls in is encoded again. With other
    tokenizers the parts are encoded anew. Raises ChakuError for a `spm_rate` that asks for a mode that the tokenizer's
    family does not have.
    """

    def __init__(self, tokenizer: Tokenizer, config: InfillingConfig, seed: int):
        self.tokenizer = tokenizer
        self.config = config
        self.seed = seed
        tokens = layout(tokenizer)
        if config.rate > 0 and len(tokens.modes) == 1:
            wanted = float(tokens.modes == ("spm",))
            if config.spm_rate != wanted:
                raise ChakuError(
                    f"the {tokens.family} family infills in mode {tokens.modes[0]} alone: set infilling.spm_rate to "
                    f"{wanted}, not {config.spm_rate}"
                )
        self._newline = tokenizer.encode_infilling("\n")[0]
        self._space = int(tokenizer.implicit_space)  # a character of the tokens that is not the text's
        self._num_characters = tokenizer.num_characters

    def __call__(self, tokens: np.ndarray, document_id: int, epoch: int) -> Infilled:
        """`tokens`: (n,), `encode(text)` of a whole document. The draw depends on (seed, document_id, epoch) alone."""
        infill, order, first, second = _draw(self.seed, document_id, epoch)
        characters = np.cumsum(self._num_characters[tokens])
        total = int(characters[-1]) - self._space if len(tokens) else 0
        if infill >= self.config.rate:
            return Infilled(_join(self.tokenizer.bos_id, tokens, self.tokenizer.eos_id), None)
        cuts = sorted((int(first * (total + 1)), int(second * (total + 1))))
        mode: Mode = "spm" if order < self.config.spm_rate else "psm"
        return Infilled(self.splice(tokens, characters, cuts[0], cuts[1], mode), mode)

    def splice(self, tokens: np.ndarray, characters: np.ndarray, first: int, second: int, mode: Mode) -> np.ndarray:
        """`infill_text` of the document, int32. `characters`: cumulative characters of its tokens."""
        tokenizer = self.tokenizer
        if not tokenizer.splits_at_line_breaks:
            ids = infill_text(tokenizer, tokenizer.decode(tokens), first, second, mode)
            return np.asarray(ids, dtype=np.int32)
        found = layout(tokenizer, mode)
        start2, end2, line2, offset2 = self._line(tokens, characters, second)
        after = _join(tokenizer.encode_infilling(line2[offset2:]), tokens[end2:])
        if mode == "spm":
            before = _join(tokens[:start2], self._opening(line2[:offset2], start2))
            return _enclose(tokenizer, found, *found.arrange(mode, before, after))
        start1, end1, line1, offset1 = self._line(tokens, characters, first)
        before = _join(tokens[:start1], self._opening(line1[:offset1], start1))
        if start1 == start2:
            middle: tuple[np.ndarray | list[int], ...] = (
                tokenizer.encode_infilling(line2[offset1:offset2]),
            )  # it may end with the line break
        else:
            middle = (
                tokenizer.encode_infilling(line1[offset1:]),
                tokens[end1:start2],
                tokenizer.encode_infilling(line2[:offset2]),
            )
        return _enclose(tokenizer, found, *found.arrange(mode, before, after), *middle)

    def _opening(self, text: str, start: int) -> list[int]:
        """The beginning of a line: the document's first line has the implicit space."""
        return self.tokenizer.encode(text) if start == 0 else self.tokenizer.encode_infilling(text)

    def _line(self, tokens: np.ndarray, characters: np.ndarray, cut: int) -> tuple[int, int, str, int]:
        """The line that character `cut` falls in: its first token, the token after it, its text, the cut's offset.

        A line ends before its line break, which starts the next "line": the break then stays whole on either side.
        """
        if len(tokens) == 0:
            return 0, 0, "", 0
        # The token that holds the character before the cut, counting the implicit space as character 0.
        at = int(np.searchsorted(characters, cut + self._space, side="left"))
        at = min(at, len(tokens) - 1)
        start = at
        while start > 0 and tokens[start - 1] != self._newline:
            start -= 1
        end = at
        while end < len(tokens) and tokens[end] != self._newline:
            end += 1
        if end < len(tokens) and tokens[at] == self._newline:
            end = at + 1
        text = self.tokenizer.decode_infilling(tokens[start:end])
        before = int(characters[start - 1]) - self._space if start else 0
        if start == 0:
            text = text[self._space :]
        return start, end, text, cut - before


def _draw(seed: int, document_id: int, epoch: int) -> tuple[float, float, float, float]:
    """Four uniform numbers in [0, 1) from three integers: splitmix64 over their mix."""
    state = (seed * 0x9E3779B97F4A7C15 + document_id * 0xBF58476D1CE4E5B9 + epoch * 0x94D049BB133111EB) & _MASK
    numbers = []
    for _ in range(4):
        state = (state + 0x9E3779B97F4A7C15) & _MASK
        mixed = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & _MASK
        numbers.append(((mixed ^ (mixed >> 31)) >> 11) / (1 << 53))
    return numbers[0], numbers[1], numbers[2], numbers[3]


_MASK = (1 << 64) - 1


def _enclose(tokenizer: Tokenizer, tokens: InfillingTokens, *parts: int | list[int] | np.ndarray) -> np.ndarray:
    """BOS, the parts, EOT and EOS; one token that is both stands once."""
    ending = [tokenizer.eos_id] if tokens.end == tokenizer.eos_id else [tokens.end, tokenizer.eos_id]
    return _join(tokenizer.bos_id, *parts, ending)


def _join(*parts: int | list[int] | np.ndarray) -> np.ndarray:
    return np.concatenate([np.atleast_1d(np.asarray(part, dtype=np.int32)) for part in parts])
