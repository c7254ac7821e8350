"""Encode text to ids and decode ids: Llama's byte-pair encoding through kitoken; `byte_level` has the other kind."""

import copy
import hashlib
import json
import re
from collections.abc import Sequence
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
    """A Llama tokenizer. It encodes any text, decodes to the same text, and never encodes text to a special token.

    `definition` is the content of `tokenizer.json`, `config` the content of `tokenizer_config.json`. `bos_id` and
    `eos_id` stand around a text in training (`bos_id` is the end-of-text token of a vocabulary without BOS); `begin`
    ([BOS] or []) stands before a prompt. `infilling` has the infilling tokens; `prefix_id`, `suffix_id`, `middle_id`
    and `eot_id` are their ids; all are None for a vocabulary without infilling tokens. A U+2581 in a text is encoded as
    its three byte tokens, so that it is not decoded as a space (SentencePiece does not distinguish them).
    """

    implicit_space: bool  # `encode` puts a space before the text, `decode` removes it
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
        """Let another process make its own encoder."""
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
        # The encoder gets no added tokens (it would find their names in a text), no special pieces (with Code Llama's
        # own tokenizer.model a text could merge into them), and no implicit space.
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
            # Byte fallback encodes every character, so that no unknown token is needed.
            "model": {**definition["model"], "vocab": pieces, "merges": merges, "unk_token": None},
            "normalizer": {"type": "Replace", "pattern": {"String": " "}, "content": SPACE},
            "pre_tokenizer": None,
        }
        self._encoder = kitoken.Kitoken.from_tokenizers(json.dumps(plain, ensure_ascii=False).encode())

    def save(self, directory: Path) -> None:
        """Write `tokenizer.json` and `tokenizer_config.json`, with which transformers gives the same ids.

        Other entries of the loaded configuration, such as a chat template, are kept.
        """
        write_json(directory / "tokenizer.json", self.definition)
        ours = {
            "tokenizer_class": "PreTrainedTokenizerFast",  # other classes rebuild the encoder in their own ways
            "bos_token": self.pieces[self.begin[0]] if self.begin else self.config.get("bos_token"),
            "eos_token": self.pieces[self.eos_id],
            "unk_token": "<unk>" if "<unk>" in self.pieces else self.config.get("unk_token"),
            "add_bos_token": bool(self.begin),
            "add_eos_token": False,
            "clean_up_tokenization_spaces": False,
        }
        config = {**ours, "model_max_length": 1_000_000_000, **self.config, **ours}
        config.pop("auto_map", None)  # names a Python class in the checkpoint, which is not copied
        write_json(directory / "tokenizer_config.json", config)

    def with_chat_template(self, template: str) -> "Tokenizer":
        """A copy of the tokenizer with another chat template, which `save` writes into the checkpoint."""
        same = copy.copy(self)
        same.config = {**self.config, "chat_template": template}
        return same

    @cached_property
    def sha256(self) -> str:
        """The SHA-256 of the definition: equal tokenizers have equal hashes."""
        return hashlib.sha256(json.dumps(self.definition, sort_keys=True).encode()).hexdigest()

    def encode(self, text: str) -> list[int]:
        """The ids of a text, with Llama's implicit leading space, without BOS and EOS. The empty text gives []."""
        if not self.implicit_space:
            return self.encode_infilling(text)
        return self.encode_infilling(" " + text) if text else []

    def encode_infilling(self, text: str) -> list[int]:
        """The ids of a text that continues another text, without the implicit leading space."""
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
            # The encoder turns a text that spells a piece, such as "<s>" or "<0x41>", into that piece. A line break
            # before the text (or a NUL), which joins no piece, prevents this.
            guard = "\n" if self.splits_at_line_breaks else "\0"
            return self._encoder.encode(guard + text)[1:] if text else []
        parts = text.split(SPACE)
        ids = self._encode_pieces(parts[0])
        for part in parts[1:]:
            ids += self._space_ids
            ids += self._encode_pieces(part)
        return ids

    def decode(self, ids: Sequence[int] | np.ndarray) -> str:
        """The text whose `encode` gives `ids`. Special tokens are skipped; broken UTF-8 becomes U+FFFD."""
        text = self.decode_infilling(ids)
        return text.removeprefix(" ") if self.implicit_space else text

    def decode_infilling(self, ids: Sequence[int] | np.ndarray) -> str:
        """The text whose `encode_infilling` gives `ids`: a leading space stays."""
        return self.decode_bytes(ids).decode("utf-8", errors="replace")

    def decode_bytes(self, ids: Sequence[int] | np.ndarray) -> bytes:
        """The UTF-8 bytes of some ids. They may end inside a character; a leading space stays."""
        table = self._bytes
        return b"".join([table[number] for number in ids])

    @cached_property
    def num_characters(self) -> np.ndarray:
        """The number of characters that begin in each token, (vocab_size,) int32; continuation bytes do not count."""
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
    """Extend Llama 2's 32,000 pieces to Code Llama's 32,016: merge steps, four infilling tokens, five repeats of EOT.

    The merge steps and repeats (ids 32000-32006, 32011-32015) only make the sizes match. Like the infilling tokens,
    they are special, and no text is encoded to them. A tokenizer with infilling tokens is returned as it is. Raises
    ChakuError for any other tokenizer that is not Llama 2's.
    """
    if tokenizer.infilling is not None:
        return tokenizer
    if tokenizer.pieces[tokenizer.bos_id] != "<s>" or not tokenizer.implicit_space:
        raise ChakuError(
            "the tokenizer has no infilling tokens, and only Llama 2's can be extended: leave `infilling` out of the "
            "stages, or begin with a model whose tokenizer has infilling tokens"
        )
    first = tokenizer.vocab_size
    special = {token["content"]: token["id"] for token in tokenizer.definition["added_tokens"]}
    added = (*CODE_LLAMA_LADDER, *SENTINELS, *CODE_LLAMA_REPEATS)
    special |= {piece: first + index for index, piece in enumerate(added)}
    model = tokenizer.definition["model"]
    config = {key: value for key, value in tokenizer.config.items() if key != "added_tokens_decoder"}
    return Tokenizer(llama_definition(model["vocab"], model["merges"], special), config)
