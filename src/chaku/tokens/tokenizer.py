"""Text to ids and back: Llama-style byte-pair encoding. kitoken encodes; the file is `tokenizer.json`."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import kitoken
import numpy as np

from chaku.errors import ChakuError
from chaku.files import read_json, write_json

SPACE = "▁"  # U+2581, which stands for a space in pieces
SENTINELS = ("▁<PRE>", "▁<SUF>", "▁<MID>", "▁<EOT>")
_SPACE_BYTES = ("<0xE2>", "<0x96>", "<0x81>")


class Tokenizer:
    """A Llama tokenizer: every text has ids, every text comes back, and no text makes a special token.

    `definition` is the content of a `tokenizer.json` in Llama's form. Special tokens: `bos_id`, `eos_id`, and the
    infilling sentinels `prefix_id`, `suffix_id`, `middle_id`, `eot_id`, which are None where the vocabulary has none.
    A U+2581 in a text is written as its three byte tokens, so that it is not read back as a space (SentencePiece
    loses the difference).
    """

    def __init__(self, definition: dict[str, Any]):
        self.definition = definition
        vocab: dict[str, int] = definition["model"]["vocab"]
        added = {each["content"]: each["id"] for each in definition["added_tokens"]}
        ids = {**vocab, **added}
        self.vocab_size = max(ids.values()) + 1
        self.pieces = [""] * self.vocab_size
        for piece, number in ids.items():
            self.pieces[number] = piece
        self.bos_id, self.eos_id = ids["<s>"], ids["</s>"]
        self.prefix_id, self.suffix_id, self.middle_id, self.eot_id = (ids.get(each) for each in SENTINELS)
        self.special_ids = frozenset(added.values())
        self._longest_piece = max(map(len, self.pieces))
        self._space_ids = [vocab[each] for each in _SPACE_BYTES]
        self._bytes = [_piece_bytes(piece, number in self.special_ids) for number, piece in enumerate(self.pieces)]
        # The encoder gets no special tokens at all (it would cut the text at their spelling) and no implicit space.
        plain = {
            **definition,
            "added_tokens": [],
            "model": {**definition["model"], "unk_token": None},  # every character has bytes
            "normalizer": {"type": "Replace", "pattern": {"String": " "}, "content": SPACE},
        }
        self._encoder = kitoken.Kitoken.from_tokenizers(json.dumps(plain, ensure_ascii=False).encode())

    @classmethod
    def load(cls, path: Path) -> "Tokenizer":
        """Load a directory with a `tokenizer.json`, such a file, or a SentencePiece `tokenizer.model`."""
        if path.is_dir():
            files = [path / "tokenizer.json", path / "tokenizer.model"]
            path = next((each for each in files if each.is_file()), files[0])
        if path.suffix == ".model":
            from chaku.tokens.sentencepiece import read_sentencepiece

            return cls(read_sentencepiece(path))
        definition = read_json(path)
        model = definition.get("model", {}) if isinstance(definition, dict) else {}
        if model.get("type") != "BPE" or not model.get("byte_fallback") or "<0x00>" not in model.get("vocab", {}):
            raise ChakuError(f"{path} is not a Llama tokenizer (byte-pair encoding with byte fallback)")
        return cls(definition)

    def save(self, directory: Path) -> None:
        """Write `tokenizer.json` and `tokenizer_config.json`, which transformers opens with the same ids."""
        write_json(directory / "tokenizer.json", self.definition)
        write_json(
            directory / "tokenizer_config.json",
            {
                "tokenizer_class": "PreTrainedTokenizerFast",
                "bos_token": "<s>",
                "eos_token": "</s>",
                "unk_token": "<unk>",
                "add_bos_token": True,
                "add_eos_token": False,
                "clean_up_tokenization_spaces": False,
                "model_max_length": 1_000_000_000,
            },
        )

    @cached_property
    def sha256(self) -> str:
        """The hash of the definition: equal tokenizers, equal hashes."""
        return hashlib.sha256(json.dumps(self.definition, sort_keys=True).encode()).hexdigest()

    def encode(self, text: str) -> list[int]:
        """Ids of a text, with Llama's implicit leading space, without BOS and EOS. The empty text has none."""
        return self.encode_infilling(" " + text) if text else []

    def encode_infilling(self, text: str) -> list[int]:
        """Ids of a text that continues another: no implicit leading space."""
        if SPACE not in text:
            if len(text) > self._longest_piece:
                return self._encoder.encode(text)
            # The encoder takes a text that spells a piece, "<s>" or "<0x41>" say, for that piece. A line break before
            # it, which no piece joins, prevents that.
            return self._encoder.encode("\n" + text)[1:] if text else []
        parts = text.split(SPACE)
        ids = self.encode_infilling(parts[0])
        for part in parts[1:]:
            ids += self._space_ids
            ids += self.encode_infilling(part)
        return ids

    def encode_batch(self, texts: Iterable[str]) -> list[np.ndarray]:
        """`encode` of each text, as int32 arrays."""
        return [np.asarray(self.encode(text), dtype=np.int32) for text in texts]

    def decode(self, ids: Sequence[int] | np.ndarray) -> str:
        """The text of `encode(text)`; special tokens are skipped, broken UTF-8 becomes U+FFFD."""
        return self.decode_infilling(ids).removeprefix(" ")

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


def _piece_bytes(piece: str, special: bool) -> bytes:
    if special:
        return b""
    if len(piece) == 6 and piece.startswith("<0x") and piece.endswith(">"):
        return bytes([int(piece[3:5], 16)])
    return piece.replace(SPACE, " ").encode()


def llama_definition(vocab: dict[str, int], merges: list[list[str]], special: dict[str, int]) -> dict[str, Any]:
    """A `tokenizer.json` in Llama's form: no pre-tokenizer, spaces as U+2581, byte fallback."""
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {
                "id": number,
                "content": piece,
                "single_word": False,
                "lstrip": False,
                "rstrip": False,
                "normalized": False,
                "special": True,
            }
            for piece, number in special.items()
        ],
        "normalizer": {
            "type": "Sequence",
            "normalizers": [
                {"type": "Prepend", "prepend": SPACE},
                {"type": "Replace", "pattern": {"String": " "}, "content": SPACE},
            ],
        },
        "pre_tokenizer": None,
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
            "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {"<s>": {"id": "<s>", "ids": [special["<s>"]], "tokens": ["<s>"]}},
        },
        "decoder": {
            "type": "Sequence",
            "decoders": [
                {"type": "Replace", "pattern": {"String": SPACE}, "content": " "},
                {"type": "ByteFallback"},
                {"type": "Fuse"},
                {"type": "Strip", "content": " ", "start": 1, "stop": 0},
            ],
        },
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": "<unk>",
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": True,
            "byte_fallback": True,
            "ignore_merges": False,
            "vocab": vocab,
            "merges": merges,
        },
    }


def extend_for_infilling(tokenizer: Tokenizer) -> Tokenizer:
    """Llama 2's 32,000 pieces to Code Llama's 32,016: the merge ladder, the four sentinels, five repeated EOT.

    The ladder's pieces and the repeats (ids 32000-32006, 32011-32015) are there for the sizes to match; like the
    sentinels, they are special and no text makes them.
    """
    if tokenizer.prefix_id is not None:
        return tokenizer
    ladder = ["▁<SU", "▁<SUF", "▁<PRE", "▁<M", "▁<MID", "▁<E", "▁<EOT"]
    repeats = ["▁<EOT>" + "<EOT>" * count for count in range(1, 6)]
    first = tokenizer.vocab_size
    special = {each["content"]: each["id"] for each in tokenizer.definition["added_tokens"]}
    special |= {piece: first + index for index, piece in enumerate([*ladder, *SENTINELS, *repeats])}
    model = tokenizer.definition["model"]
    return Tokenizer(llama_definition(model["vocab"], model["merges"], special))
