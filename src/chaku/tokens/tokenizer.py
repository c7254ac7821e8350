"""Text to ids and back. Llama-style byte-pair encoding is here (kitoken encodes), byte-level in `byte_level`."""

import copy
import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import kitoken
import numpy as np

from chaku.errors import ChakuError
from chaku.files import write_json
from chaku.tokens.definition import SPACE, components, llama_definition, merge_parts
from chaku.tokens.special import (
    CODE_LLAMA_LADDER,
    CODE_LLAMA_REPEATS,
    find_special_tokens,
    state_begin,
)

SENTINELS = ("▁<PRE>", "▁<SUF>", "▁<MID>", "▁<EOT>")
_SPACE_BYTES = ("<0xE2>", "<0x96>", "<0x81>")


class Tokenizer:
    """A Llama tokenizer: every text has ids, every text comes back, and no text makes a special token.

    `definition` is the content of a `tokenizer.json`, `config` that of the `tokenizer_config.json` beside it. Special
    tokens: `bos_id` and `eos_id` stand around a text in training (`bos_id` is the end-of-text token of a vocabulary
    without BOS), `begin` ([BOS], or nothing) before a prompt. `infilling` has the infilling tokens and their places,
    `prefix_id`, `suffix_id`, `middle_id` and `eot_id` are its ids; all are None where the vocabulary has none.
    A U+2581 in a text is written as its three byte tokens, so that it is not read back as a space (SentencePiece
    loses the difference).
    """

    implicit_space: bool  # `encode` writes a space before the text, `decode` takes it away
    splits_at_line_breaks: bool  # a line break is a token of its own, and a line's ids depend on that line alone

    def __init__(self, definition: dict[str, Any], config: dict[str, Any] | None = None):
        self.config = config or {}
        added = {token["content"]: token["id"] for token in definition["added_tokens"]}
        ids = {**definition["model"]["vocab"], **added}
        self.vocab_size = max(ids.values()) + 1
        self.pieces = [""] * self.vocab_size
        for piece, number in ids.items():
            self.pieces[number] = piece
        special = find_special_tokens(ids, definition, self.config)
        self.bos_id, self.eos_id, self.begin, self.special_ids = special.bos, special.eos, special.begin, special.ids
        self.definition = state_begin(definition, self.pieces, self.begin)
        self.infilling = found = special.infilling
        self.prefix_id: int | None = found.prefix if found else None
        self.suffix_id: int | None = found.suffix if found else None
        self.middle_id: int | None = found.middle if found else None
        self.eot_id: int | None = found.end if found else None
        self._prepare()
        self._bytes = [
            b"" if number in self.special_ids else self._piece_bytes(piece) for number, piece in enumerate(self.pieces)
        ]

    def __reduce__(self) -> tuple[Any, ...]:
        """Another process makes its own encoder."""
        return type(self), (self.definition, self.config)

    def _prepare(self) -> None:
        """Make the encoder."""
        definition = self.definition
        vocab: dict[str, int] = definition["model"]["vocab"]
        self.implicit_space = _has_implicit_space(definition)
        self.splits_at_line_breaks = not any("\n" in piece and piece != "\n" for piece in self.pieces)
        self._longest_piece = max(map(len, self.pieces))
        self._space_ids = [vocab[piece] for piece in _SPACE_BYTES]
        # SentencePiece's user-defined pieces are found in a text before anything else, the longest first.
        added = [token for token in definition["added_tokens"] if token["id"] not in self.special_ids]
        self._defined = {token["content"].replace(SPACE, " "): token["id"] for token in added}
        longest_first = sorted(self._defined, key=len, reverse=True)
        self._defined_pattern = re.compile(f"({'|'.join(map(re.escape, longest_first))})") if added else None
        # The encoder gets no added tokens at all (it would cut the text at their spelling), no special pieces (in Code
        # Llama's own tokenizer.model a text could merge into them), and no implicit space.
        special = {self.pieces[number] for number in self.special_ids}
        pieces = {piece: number for piece, number in vocab.items() if piece not in special}
        merges = [
            merge
            for merge in definition["model"]["merges"]
            if all(piece in pieces for piece in (*merge_parts(merge), "".join(merge_parts(merge))))
        ]
        plain = {
            **definition,
            "added_tokens": [],
            # Every character has bytes, so that none is unknown.
            "model": {**definition["model"], "vocab": pieces, "merges": merges, "unk_token": None},
            "normalizer": {"type": "Replace", "pattern": {"String": " "}, "content": SPACE},
            "pre_tokenizer": None,
        }
        self._encoder = kitoken.Kitoken.from_tokenizers(json.dumps(plain, ensure_ascii=False).encode())

    def save(self, directory: Path) -> None:
        """Write `tokenizer.json` and `tokenizer_config.json`, which transformers opens with the same ids.

        What else the loaded configuration held, a chat template say, is kept.
        """
        write_json(directory / "tokenizer.json", self.definition)
        ours = {
            "tokenizer_class": "PreTrainedTokenizerFast",  # others build the encoder anew, each in its own way
            "bos_token": self.pieces[self.begin[0]] if self.begin else self.config.get("bos_token"),
            "eos_token": self.pieces[self.eos_id],
            "unk_token": "<unk>" if "<unk>" in self.pieces else self.config.get("unk_token"),
            "add_bos_token": bool(self.begin),
            "add_eos_token": False,
            "clean_up_tokenization_spaces": False,
        }
        config = {**ours, "model_max_length": 1_000_000_000, **self.config, **ours}
        config.pop("auto_map", None)  # a class of the checkpoint's own, which is not copied
        write_json(directory / "tokenizer_config.json", config)

    def with_chat_template(self, template: str) -> "Tokenizer":
        """The same, but that a checkpoint saved with it says how to chat."""
        same = copy.copy(self)
        same.config = {**self.config, "chat_template": template}
        return same

    @cached_property
    def sha256(self) -> str:
        """The hash of the definition: equal tokenizers, equal hashes."""
        return hashlib.sha256(json.dumps(self.definition, sort_keys=True).encode()).hexdigest()

    def encode(self, text: str) -> list[int]:
        """Ids of a text, with Llama's implicit leading space, without BOS and EOS. The empty text has none."""
        if not self.implicit_space:
            return self.encode_infilling(text)
        return self.encode_infilling(" " + text) if text else []

    def encode_infilling(self, text: str) -> list[int]:
        """Ids of a text that continues another: no implicit leading space."""
        if self._defined_pattern is None:
            return self._encode_pieces(text)
        ids: list[int] = []
        for index, part in enumerate(self._defined_pattern.split(text)):
            ids += [self._defined[part]] if index % 2 else self._encode_pieces(part)
        return ids

    def _encode_pieces(self, text: str) -> list[int]:
        if SPACE not in text:
            if len(text) > self._longest_piece:
                return self._encoder.encode(text)
            # The encoder takes a text that spells a piece, "<s>" or "<0x41>" say, for that piece. A line break before
            # it, which no piece joins (or else a NUL), prevents that.
            guard = "\n" if self.splits_at_line_breaks else "\0"
            return self._encoder.encode(guard + text)[1:] if text else []
        parts = text.split(SPACE)
        ids = self._encode_pieces(parts[0])
        for part in parts[1:]:
            ids += self._space_ids
            ids += self._encode_pieces(part)
        return ids

    def encode_batch(self, texts: Iterable[str]) -> list[np.ndarray]:
        """`encode` of each text, as int32 arrays."""
        return [np.asarray(self.encode(text), dtype=np.int32) for text in texts]

    def decode(self, ids: Sequence[int] | np.ndarray) -> str:
        """The text of `encode(text)`; special tokens are skipped, broken UTF-8 becomes U+FFFD."""
        text = self.decode_infilling(ids)
        return text.removeprefix(" ") if self.implicit_space else text

    def decode_infilling(self, ids: Sequence[int] | np.ndarray) -> str:
        """The text of `encode_infilling(text)`: a leading space stays."""
        return self.decode_bytes(ids).decode("utf-8", errors="replace")

    def decode_bytes(self, ids: Sequence[int] | np.ndarray) -> bytes:
        """The UTF-8 bytes of some ids, which may end inside a character. A leading space stays."""
        table = self._bytes
        return b"".join([table[number] for number in ids])

    @cached_property
    def num_characters(self) -> np.ndarray:
        """Characters that begin in each token, (vocab_size,) int32: a continuation byte begins none."""
        return np.array([sum(byte & 0xC0 != 0x80 for byte in piece) for piece in self._bytes], dtype=np.int32)

    def _piece_bytes(self, piece: str) -> bytes:
        if len(piece) == 6 and piece.startswith("<0x") and piece.endswith(">"):
            return bytes([int(piece[3:5], 16)])
        return piece.replace(SPACE, " ").encode()


def _has_implicit_space(definition: dict[str, Any]) -> bool:
    if any(part.get("type") == "Prepend" for part in components(definition.get("normalizer"))):
        return True
    marks = [part for part in components(definition.get("pre_tokenizer")) if part.get("type") == "Metaspace"]
    return any(mark.get("prepend_scheme", "always") != "never" for mark in marks)


def extend_for_infilling(tokenizer: Tokenizer) -> Tokenizer:
    """Llama 2's 32,000 pieces to Code Llama's 32,016: the merge ladder, the four sentinels, five repeated EOT.

    The ladder's pieces and the repeats (ids 32000-32006, 32011-32015) are there for the sizes to match; like the
    sentinels, they are special and no text makes them. A tokenizer that can infill is returned as it is; raises
    ChakuError for others that are not Llama 2's.
    """
    if tokenizer.infilling is not None:
        return tokenizer
    if tokenizer.pieces[tokenizer.bos_id] != "<s>" or not tokenizer.implicit_space:
        raise ChakuError(
            "the tokenizer has no infilling tokens, and only Llama 2's can be extended: leave `infilling` out of the "
            "stages, or begin with a model whose tokenizer has them"
        )
    first = tokenizer.vocab_size
    special = {token["content"]: token["id"] for token in tokenizer.definition["added_tokens"]}
    added = (*CODE_LLAMA_LADDER, *SENTINELS, *CODE_LLAMA_REPEATS)
    special |= {piece: first + index for index, piece in enumerate(added)}
    model = tokenizer.definition["model"]
    config = {key: value for key, value in tokenizer.config.items() if key != "added_tokens_decoder"}
    return Tokenizer(llama_definition(model["vocab"], model["merges"], special), config)
