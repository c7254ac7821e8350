"""Infilling: cut a document at two random characters and move its middle to the end (Code Llama paper, 2.3)."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from chaku.errors import ChakuError
from chaku.tokens.config import InfillingConfig
from chaku.tokens.cuts import draw_kind, line_cuts, random_cuts, syntax_cuts
from chaku.tokens.special import MODES, InfillingTokens, Mode
from chaku.tokens.tokenizer import Tokenizer

__all__ = ["MODES", "Infilled", "Infiller", "Mode", "infill_text", "layout", "recover_text"]


@dataclass(frozen=True, slots=True)
class Infilled:
    """`ids`: a training sequence from BOS to EOS, (n,) int32; `mode` is None when the document is not infilled.

    `fell_back`: the document was to be cut by its syntax, but has none that is known, and was cut at random characters.
    """

    ids: np.ndarray
    mode: Mode | None
    fell_back: bool = False


def infill_text(tokenizer: Tokenizer, text: str, first: int, second: int, mode: Mode) -> list[int]:
    """The training sequence of a text that is cut before characters `first` <= `second`; encodes the three parts.

    PSM: BOS PRE enc(prefix) SUF enc_inf(suffix) MID enc_inf(middle) EOT EOS.
    SPM: BOS PRE SUF enc_inf(suffix) MID enc(prefix + middle) EOT EOS, prefix and middle joined as text.
    EOS follows EOT because Meta trained with BOS and EOS; the paper does not say. If EOT is EOS, it appears once.
    Raises ChakuError for a tokenizer without infilling tokens, or without `mode`.
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
    """The text of the document in a training sequence, infilled or not."""
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
    joined = at_suffix == 2  # SPM, or PSM with an empty prefix: only the implicit space distinguishes them
    if joined and (not middle or tokenizer.decode_infilling(middle).startswith(" ")):
        spm = tokenizer.decode(middle)
        psm = tokenizer.decode_infilling(middle)
        # enc("x") with its implicit space and enc_inf(" x") with a real space have the same ids. So PSM with an empty
        # prefix and a middle that begins with a space looks like SPM; this function then assumes SPM.
        return (spm if tokenizer.encode(spm) == middle else psm) + suffix
    return prefix + tokenizer.decode_infilling(middle) + suffix


def layout(tokenizer: Tokenizer, mode: Mode | None = None) -> InfillingTokens:
    """The tokenizer's infilling tokens. Raises ChakuError when it has none, or when its family lacks `mode`."""
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
    """Infills encoded documents, with the same result as `infill_text`; much faster for Llama's tokenizers.

    In Llama's tokenizers a line break is always a token of its own, so a line's tokens depend on that line alone. The
    infiller finds each cut by counting characters per token, and encodes only the line of the cut again. With other
    tokenizers it encodes the three parts again. Raises ChakuError for a tokenizer without infilling tokens, and for an
    `spm_rate` that needs a mode that the tokenizer's family lacks.
    """

    def __init__(self, tokenizer: Tokenizer, config: InfillingConfig, seed: int):
        self.tokenizer = tokenizer
        self.config = config
        self.seed = seed
        tokens = layout(tokenizer)
        if max(config.rate, config.final_rate or 0) > 0 and len(tokens.modes) == 1:
            wanted = float(tokens.modes == ("spm",))
            if config.spm_rate != wanted:
                raise ChakuError(
                    f"the {tokens.family} family infills only in mode {tokens.modes[0]}: set infilling.spm_rate to "
                    f"{wanted}, not {config.spm_rate}"
                )
        self._shares = config.shares()
        self._newline = tokenizer.encode_infilling("\n")[0]
        self._space = int(tokenizer.implicit_space)  # the tokens have this one character more than the text
        self._num_characters = tokenizer.num_characters

    def __call__(
        self, tokens: np.ndarray, document_id: int, epoch: int, language: str = "", progress: float = 0.0
    ) -> Infilled:
        """Infill a whole document, or leave it as it is, by a draw that depends only on (seed, document_id, epoch).

        `tokens`: (n,), the document's `encode(text)`. `language`: for cuts by syntax. `progress`: of the stage, from 0
        to 1, for a rate that changes.
        """
        draws = _draws(self.seed, document_id, epoch)
        infill, order = next(draws), next(draws)
        characters = np.cumsum(self._num_characters[tokens])
        total = int(characters[-1]) - self._space if len(tokens) else 0
        if infill >= self.config.rate_at(progress):
            return Infilled(_join(self.tokenizer.bos_id, tokens, self.tokenizer.eos_id), None)
        cuts, fell_back = self._cuts(tokens, total, language, draws)
        mode: Mode = "spm" if order < self.config.spm_rate else "psm"
        return Infilled(self.splice(tokens, characters, cuts[0], cuts[1], mode), mode, fell_back)

    def _cuts(
        self, tokens: np.ndarray, total: int, language: str, draws: Iterator[float]
    ) -> tuple[tuple[int, int], bool]:
        """(the two cuts, whether they fell back to random characters) of a document with `total` characters."""
        first, second = next(draws), next(draws)
        at_random = random_cuts(total, first, second)
        kind = draw_kind(self._shares, next(draws))
        if kind == "random":
            return at_random, False
        text = self.tokenizer.decode(tokens)
        if len(text) != total:  # tokens that end inside a character, which no document has
            return at_random, True
        if kind == "line":
            return line_cuts(text, first, second), False
        found = syntax_cuts(text, language, draws)
        return found or at_random, found is None

    def splice(self, tokens: np.ndarray, characters: np.ndarray, first: int, second: int, mode: Mode) -> np.ndarray:
        """The ids of `infill_text` for the document, int32. `characters`: (n,), cumulative characters of `tokens`."""
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
            )  # the middle may end with the line break
        else:
            middle = (
                tokenizer.encode_infilling(line1[offset1:]),
                tokens[end1:start2],
                tokenizer.encode_infilling(line2[:offset2]),
            )
        return _enclose(tokenizer, found, *found.arrange(mode, before, after), *middle)

    def _opening(self, text: str, start: int) -> list[int]:
        """Encode the beginning of a line; the document's first line has the implicit space."""
        return self.tokenizer.encode(text) if start == 0 else self.tokenizer.encode_infilling(text)

    def _line(self, tokens: np.ndarray, characters: np.ndarray, cut: int) -> tuple[int, int, str, int]:
        """The line of character `cut`: (its first token, the token after it, its text, the cut's offset in it).

        A line ends before its line break; the break begins the next "line", so that no cut splits the break.
        """
        if len(tokens) == 0:
            return 0, 0, "", 0
        # The token with the character before the cut; the implicit space counts as character 0.
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


def _draws(seed: int, document_id: int, epoch: int) -> Iterator[float]:
    """Endless uniform numbers in [0, 1) from three integers, by splitmix64."""
    state = (seed * 0x9E3779B97F4A7C15 + document_id * 0xBF58476D1CE4E5B9 + epoch * 0x94D049BB133111EB) & _MASK
    while True:
        state = (state + 0x9E3779B97F4A7C15) & _MASK
        mixed = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & _MASK
        yield ((mixed ^ (mixed >> 31)) >> 11) / (1 << 53)


_MASK = (1 << 64) - 1


def _enclose(tokenizer: Tokenizer, tokens: InfillingTokens, *parts: int | list[int] | np.ndarray) -> np.ndarray:
    """BOS, the parts, EOT and EOS; if EOT is EOS, it appears once."""
    ending = [tokenizer.eos_id] if tokens.end == tokenizer.eos_id else [tokens.end, tokenizer.eos_id]
    return _join(tokenizer.bos_id, *parts, ending)


def _join(*parts: int | list[int] | np.ndarray) -> np.ndarray:
    return np.concatenate([np.atleast_1d(np.asarray(part, dtype=np.int32)) for part in parts])
