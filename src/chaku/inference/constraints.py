"""Decoding under a grammar: masks every token that would leave the grammar."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from chaku.errors import ChakuError
from chaku.tokens.tokenizer import Tokenizer

# llguidance gives up on a grammar (LEXER_WORK) or a mask (STEP_WORK) above these limits. Its defaults, 1,000,000 and
# 200,000, are too low for a database with a thousand tables. It does about 50,000 units of LEXER_WORK a millisecond,
# and 14,000 of STEP_WORK.
LEXER_WORK = 20_000_000
STEP_WORK = 2_000_000


def json_grammar(schema: Mapping[str, Any]) -> str:
    """The grammar of the JSON texts of a JSON schema, on one line: a model that may write white space may never end."""
    one_line = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}
    return f"start: %json {json.dumps({**schema, 'x-guidance': one_line})}"


class Vocabulary:
    """A tokenizer's tokens in llguidance's form; one vocabulary serves any number of grammars.

    Works on the tokens' bytes: byte-level and SentencePiece vocabularies behave alike, and a character may be split
    between tokens. Allows no special tokens except EOS and `end_ids`, which end a text where the grammar may end.
    """

    def __init__(self, tokenizer: Tokenizer, end_ids: Sequence[int] = ()):
        import llguidance

        self.llguidance = llguidance
        self.executor = self.llguidance.LLExecutor()
        self.size = tokenizer.vocab_size
        self.end_ids = sorted({tokenizer.eos_id, *end_ids})
        wrapper = self.llguidance.TokenizerWrapper(_Tokens(tokenizer))
        self.tokens = self.llguidance.LLTokenizer(wrapper, n_vocab=self.size, eos_token=self.end_ids)


class Constraint:
    """A context-free grammar, in llguidance's dialect of Lark. Raises ChakuError when llguidance refuses it."""

    def __init__(self, vocabulary: Vocabulary, grammar: str):
        self.vocabulary = vocabulary
        matcher = vocabulary.llguidance.LLMatcher
        limits = vocabulary.llguidance.LLParserLimits(
            initial_lexer_fuel=LEXER_WORK, step_lexer_fuel=STEP_WORK, verbose_errors=False
        )
        self._matcher = matcher(vocabulary.tokens, matcher.grammar_from_lark(grammar), log_level=0, limits=limits)
        if self._matcher.is_error():
            raise ChakuError(f"llguidance refuses the grammar: {self._matcher.get_error()}")

    def matcher(self) -> Any:
        """llguidance's state before the first token of a text."""
        return self._matcher.deep_copy()

    def accepts(self, ids: Sequence[int]) -> bool:
        """Whether `ids`, without an end token, are a whole text of the grammar."""
        matcher = self._matcher.deep_copy()
        return bool(matcher.try_consume_tokens(list(ids)) == len(ids) and matcher.is_accepting())


def forbidden_tokens(vocabulary: Vocabulary, matchers: Sequence[Any]) -> np.ndarray:
    """(matchers, vocab) bool: the tokens that the text of each matcher must not go on with."""
    vocab_size = vocabulary.size
    bits = np.zeros((len(matchers), (vocab_size + 31) // 32), np.int32)
    running = [(matcher, row) for row, matcher in enumerate(matchers) if not matcher.is_stopped()]
    if running:  # by the executor even for one row: unlike a matcher, it lets Python's other threads run
        vocabulary.executor.unsafe_compute_mask_ptr(running, bits.ctypes.data, bits.shape[1] * 4, len(bits))
    allowed = np.unpackbits(bits.view(np.uint8), axis=1, bitorder="little")[:, :vocab_size].astype(bool)
    # A row that has ended, or whose matcher gave up, may only end. Whoever reads an unfinished text reports it.
    stuck = ~allowed.any(axis=1)
    if stuck.any():
        allowed[np.ix_(stuck, np.array(vocabulary.end_ids))] = True
    return ~allowed


class _Tokens:
    """A tokenizer with the attributes that llguidance's TokenizerWrapper reads."""

    def __init__(self, tokenizer: Tokenizer):
        self._encode = tokenizer.encode_infilling
        self.bos_token_id, self.eos_token_id = tokenizer.bos_id, tokenizer.eos_id
        tokens = [tokenizer.decode_bytes([number]) for number in range(tokenizer.vocab_size)]
        self.special_token_ids = [number for number, token in enumerate(tokens) if not token]
        self.tokens = [token or f"<special {number}>".encode() for number, token in enumerate(tokens)]

    def __call__(self, text: str) -> list[int]:
        return self._encode(text)
