"""Read the parts of a `tokenizer.json`, and make one in Llama's form."""

from typing import Any

from chaku.tokens.special import begin_template

SPACE = "▁"  # U+2581, a space in a piece


def merge_parts(merge: str | list[str]) -> list[str]:
    """The two pieces of a merge in `tokenizer.json`, where a merge is a list or, in older files, "LEFT RIGHT"."""
    return merge.split(" ") if isinstance(merge, str) else merge


def components(part: dict[str, Any] | None) -> list[dict[str, Any]]:
    """The members of a `Sequence` of normalizers or pre-tokenizers; [part] when there is no sequence."""
    part = part or {}
    return part.get("normalizers") or part.get("pretokenizers") or [part]


def llama_definition(
    vocab: dict[str, int],
    merges: list[list[str]],
    special: dict[str, int],
    defined: dict[str, int] | None = None,
    bos: str = "<s>",
    implicit_space: bool = True,
) -> dict[str, Any]:
    """The content of a `tokenizer.json` in Llama's form: no pre-tokenizer, spaces as U+2581, byte fallback.

    `special` and `defined` map added tokens to ids. `defined` tokens are not special: a text may contain them, and the
    encoder finds them first.
    """
    defined = defined or {}
    prepend = [{"type": "Prepend", "prepend": SPACE}] if implicit_space else []
    strip = [{"type": "Strip", "content": " ", "start": 1, "stop": 0}] if implicit_space else []
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
                "special": piece in special,
            }
            for piece, number in {**special, **defined}.items()
        ],
        "normalizer": {
            "type": "Sequence",
            "normalizers": [
                *prepend,
                {"type": "Replace", "pattern": {"String": " "}, "content": SPACE},
            ],
        },
        "pre_tokenizer": None,
        "post_processor": begin_template(bos, special[bos]),
        "decoder": {
            "type": "Sequence",
            "decoders": [
                {"type": "Replace", "pattern": {"String": SPACE}, "content": " "},
                {"type": "ByteFallback"},
                {"type": "Fuse"},
                *strip,
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
