"""Byte-level byte-pair encoding (Llama 3, Qwen, StarCoder, DeepSeek-Coder), through the tokenizers library."""

import itertools
import json
from typing import Any

from chaku.errors import ChakuError
from chaku.tokens.definition import components, merge_parts
from chaku.tokens.special import begin_template
from chaku.tokens.tokenizer import Tokenizer
from chaku.tokens.word_splitting import WordSplitting, byte_level

# Settings in `tokenizer.json`: of the byte-pair model, and of an added token.
_OPTIONS = (
    *("dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix"),
    *("fuse_unk", "byte_fallback", "ignore_merges"),
)
_FLAGS = ("single_word", "lstrip", "rstrip", "normalized")


class ByteLevelTokenizer(Tokenizer):
    """Splits a text into words by regular expressions and merges their bytes. It adds no implicit space.

    The ids equal those of transformers' fast tokenizers, except that a special token's name in a text stays text. If
    the file has a normalizer (Qwen: NFC), `decode` gives the normalised text. An added token that is not special, such
    as `<tool_call>`, is encoded as that token. Raises ChakuError when the ids of the added tokens have a gap.
    """

    def _prepare(self) -> None:
        import tokenizers

        definition, special = self.definition, self.special_ids
        self.implicit_space = self.splits_at_line_breaks = False
        self._added = {token["content"] for token in definition["added_tokens"]}
        # The vocabulary is passed as a dict: passing it as JSON takes three times as long.
        model = definition["model"]
        empty = {**definition, "model": {**model, "vocab": {}, "merges": [], "unk_token": None}, "added_tokens": []}
        outer = dict.fromkeys(("post_processor", "truncation", "padding"))
        self._tokenizers = tokenizers.Tokenizer.from_str(json.dumps({**empty, **outer}, ensure_ascii=False))
        # A special token keeps its id but gets a name with raw NULs, which no text can match. Its own name would be
        # found in a text, both as an added token and as a whole piece (Llama 3's ignore_merges).
        self._tokenizers.model = tokenizers.models.BPE(
            {f"\0{number}\0" if number in special else piece: number for piece, number in model["vocab"].items()},
            [(left, right) for left, right in map(merge_parts, model["merges"])],
            **{option: model[option] for option in _OPTIONS if model.get(option)},
        )
        added = [
            {**token, "content": f"\0{token['id']}\0", "special": True} if token["id"] in special else token
            for token in definition["added_tokens"]
        ]
        for are_special, group in itertools.groupby(added, key=lambda token: token["special"]):
            tokens = [
                tokenizers.AddedToken(token["content"], **{flag: token[flag] for flag in _FLAGS}) for token in group
            ]
            add = self._tokenizers.add_special_tokens if are_special else self._tokenizers.add_tokens
            add(tokens)
        self._tokenizers.encode_special_tokens = True
        for token in added:
            if self._tokenizers.token_to_id(token["content"]) != token["id"]:
                raise ChakuError(
                    f"the ids of the tokenizer's added tokens have a gap before {self.pieces[token['id']]!r}; get the "
                    "tokenizer's files again"
                )

    def encode(self, text: str) -> list[int]:
        """The ids of a text, without BOS and EOS."""
        return self._tokenizers.encode(text, add_special_tokens=False).ids

    def encode_infilling(self, text: str) -> list[int]:
        """The ids of a text that continues another text: the same as `encode`, as there is no implicit space."""
        return self.encode(text)

    def _piece_bytes(self, piece: str) -> bytes:
        return piece.encode() if piece in self._added else piece.translate(_BYTES).encode("latin-1")


def is_byte_level(definition: dict[str, Any]) -> bool:
    """Whether a BPE `tokenizer.json` merges the bytes of a text."""
    return any(part.get("type") == "ByteLevel" for part in components(definition.get("pre_tokenizer")))


def byte_level_definition(
    vocab: dict[str, int],
    merges: list[list[str]],
    special: dict[str, int],
    splitting: WordSplitting,
    *,
    defined: dict[str, int] | None = None,
    bos: str | None = None,
) -> dict[str, Any]:
    """The content of a byte-level `tokenizer.json`. `bos`, if given, is put before every text.

    `special` and `defined` map added tokens to ids. `defined` tokens are not special: a text may contain them, and the
    encoder finds them first.
    """
    flags = dict.fromkeys(_FLAGS, False)
    added = sorted([*special.items(), *(defined or {}).items()], key=lambda item: item[1])
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {"id": number, "content": piece, **flags, "special": piece in special} for piece, number in added
        ],
        "normalizer": {"type": "NFC"} if splitting.composes else None,
        "pre_tokenizer": splitting.pre_tokenizer(),
        "post_processor": None if bos is None else begin_template(bos, special[bos]),
        "decoder": byte_level(False),
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": splitting.whole_words,
            "vocab": vocab,
            "merges": merges,
        },
    }


def _byte_characters() -> dict[str, int]:
    """GPT-2's character for every byte: printable bytes stand for themselves, the others begin at U+0100."""
    printed = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printed]
    return {chr(byte): byte for byte in printed} | {chr(256 + index): byte for index, byte in enumerate(others)}


BYTE_NAMES = {byte: name for name, byte in _byte_characters().items()}
_BYTES = str.maketrans(_byte_characters())
