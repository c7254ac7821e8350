"""Small tokenizers built as the published ones are: normalizer, regular expressions, added tokens, post-processor."""

import copy
import json
from functools import cache
from typing import Any

# A family: (definition without vocabulary, added tokens as (name, special), tokenizer_config.json).
BYTES = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
GPT4 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}%s| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def split(pattern: str) -> dict[str, Any]:
    return {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}


def cut(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"type": "Sequence", "pretokenizers": list(parts)}


def begin(bos: str, number: int) -> dict[str, Any]:
    special = {"SpecialToken": {"id": bos, "type_id": 0}}
    sequence = {"Sequence": {"id": "A", "type_id": 0}}
    return {
        "type": "TemplateProcessing",
        "single": [special, sequence],
        "pair": [special, sequence, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {bos: {"id": bos, "ids": [number], "tokens": [bos]}},
    }


QWEN_ADDED = [
    *((f"<|{name}|>", True) for name in ("endoftext", "im_start", "im_end")),
    *((name, False) for name in ("<tool_call>", "</tool_call>", "<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>")),
    *((f"<|{name}|>", False) for name in ("fim_pad", "repo_name", "file_sep")),
]
FAMILIES: dict[str, dict[str, Any]] = {
    "llama-3": {
        "normalizer": None,
        "pre_tokenizer": cut(split(GPT4 % "{1,3}"), BYTES),
        "ignore_merges": True,
        "added": [
            *((f"<|{name}|>", True) for name in ("begin_of_text", "end_of_text", "eot_id", "reserved_special_token_0"))
        ],
        "config": {
            "bos_token": "<|begin_of_text|>",
            "eos_token": "<|end_of_text|>",
            "tokenizer_class": "PreTrainedTokenizerFast",
            "chat_template": "{{ bos_token }}",
        },
    },
    "qwen2.5-coder": {
        "normalizer": {"type": "NFC"},
        "pre_tokenizer": cut(split(GPT4 % ""), {**BYTES, "trim_offsets": False}),
        "added": QWEN_ADDED,
        "config": {
            "add_bos_token": False,
            "bos_token": None,
            "eos_token": "<|endoftext|>",
            "pad_token": "<|endoftext|>",
            "tokenizer_class": "Qwen2Tokenizer",
        },
    },
    "deepseek-coder": {
        "normalizer": {"type": "Sequence", "normalizers": []},
        "pre_tokenizer": cut(
            split("[\r\n]"),
            split(r"\s?\p{L}+"),
            split(r"\s?\p{P}+"),
            split("[一-龥ࠀ-一가-퟿]+"),
            {"type": "Digits", "individual_digits": True},
            BYTES,
        ),
        "added": [
            ("õ", False),
            ("<｜begin▁of▁sentence｜>", True),
            ("<｜end▁of▁sentence｜>", True),
            ("<｜fim▁hole｜>", False),
            ("<｜fim▁begin｜>", False),
            ("<｜fim▁end｜>", False),
            ("<|User|>", False),
        ],
        "config": {
            "add_bos_token": True,
            "bos_token": {"__type": "AddedToken", "content": "<｜begin▁of▁sentence｜>", "normalized": True},
            "eos_token": {"__type": "AddedToken", "content": "<｜end▁of▁sentence｜>", "normalized": True},
            "tokenizer_class": "LlamaTokenizerFast",
        },
    },
    "granite-code": {
        "normalizer": None,
        "pre_tokenizer": cut({"type": "Digits", "individual_digits": True}, {**BYTES, "use_regex": True}),
        "specials_first": True,
        "added": [
            *(("<|endoftext|>", True), ("<fim_prefix>", True), ("<fim_middle>", True), ("<fim_suffix>", True)),
            *((f"<{name}>", True) for name in ("fim_pad", "filename", "gh_stars", "reponame")),
        ],
        "config": {
            "add_bos_token": False,
            "bos_token": "<|endoftext|>",
            "eos_token": "<|endoftext|>",
            "unk_token": "<|endoftext|>",
            "tokenizer_class": "GPT2Tokenizer",
        },
    },
}
TEXT = (
    "def add(first, second):\n    '''It's the sum of 12345 things.'''\n    return first + second\n\n\n"
    "class Naïve(Ünïcode): pass  # 漢字 가나 über\r\n\tx = [y for y in range(100)]\n        if x != y: continue\n"
)


@cache
def _built(name: str) -> str:
    import tokenizers
    from tokenizers import models, pre_tokenizers, trainers

    family = FAMILIES[name]
    plain = json.loads(tokenizers.Tokenizer(models.BPE()).to_str())
    trained = tokenizers.Tokenizer.from_str(
        json.dumps({**plain, "normalizer": family["normalizer"], "pre_tokenizer": family["pre_tokenizer"]})
    )
    first = [content for content, _ in family["added"]] if family.get("specials_first") else []
    # DeepSeek-Coder's vocabulary lacks the bytes that UTF-8 never has, and their names are added tokens, found in text.
    alphabet = sorted(set(pre_tokenizers.ByteLevel.alphabet()) - {content for content, _ in family["added"]})
    trainer = trainers.BpeTrainer(vocab_size=440, initial_alphabet=alphabet, show_progress=False, special_tokens=first)
    trained.train_from_iterator([TEXT] * 3, trainer)
    definition = json.loads(trained.to_str())
    vocab = definition["model"]["vocab"]
    if family.get("ignore_merges"):  # such a piece, which no merges make, is what the setting is about
        definition["model"]["ignore_merges"] = True
        vocab["Ġwhile"] = len(vocab)
    after = len(vocab)
    added = [
        {
            "id": index if first else after + index,
            "content": content,
            "single_word": False,
            "lstrip": False,
            "rstrip": False,
            "normalized": name == "deepseek-coder",
            "special": special,
        }
        for index, (content, special) in enumerate(family["added"])
    ]
    definition["added_tokens"] = added
    definition["decoder"] = {**BYTES, "use_regex": True}
    definition["post_processor"] = {**BYTES, "use_regex": True}
    if name == "llama-3":
        template = begin("<|begin_of_text|>", after)
        definition["post_processor"] = {"type": "Sequence", "processors": [definition["post_processor"], template]}
    return json.dumps(definition)


def make(name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """`tokenizer.json` and `tokenizer_config.json` of a small tokenizer of a family."""
    return json.loads(_built(name)), copy.deepcopy(FAMILIES[name]["config"])
