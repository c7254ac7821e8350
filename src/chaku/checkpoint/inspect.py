"""Describe a checkpoint without its weights: family, size, memory, rotary settings, special tokens, licence."""

import re
from collections import Counter
from pathlib import Path
from typing import Any

from chaku.checkpoint.formats import open_checkpoint
from chaku.checkpoint.meta import is_meta
from chaku.console import short
from chaku.gguf_file import is_gguf, read_gguf_file
from chaku.model.config import LlamaConfig
from chaku.tokens.load import has_tokenizer, load_tokenizer

# Bytes per weight of the layers' matrices; embeddings and output stay in 16 bits in a quantised model.
_BYTES = {"float32": 4.0, "bfloat16": 2.0, "int8": 1.0, "4-bit": 0.5}
# Licences by words of their texts, for repositories whose README.md does not name the licence in its header.
_LICENCES = {
    "apache-2.0": r"Apache License\s+Version 2\.0",
    "mit": r"Permission is hereby granted, free of charge",
    "llama2": r"LLAMA 2 COMMUNITY LICENSE",
    "llama3": r"LLAMA 3[.\d]* COMMUNITY LICENSE",
    "deepseek": r"DEEPSEEK LICENSE",
}


def inspect(name: str | Path) -> dict[str, Any]:
    """A flat description of a checkpoint; sizes in bytes. Raises ChakuError when `name` is not a checkpoint."""
    opened = open_checkpoint(name)
    config, path = opened.config, opened.path
    return {
        "path": str(path),
        "format": "gguf" if is_gguf(path) else "meta" if is_meta(path) else "hf",
        "family": config.model_type,
        "parameters": config.num_parameters,
        "layers": config.num_hidden_layers,
        "hidden_size": config.hidden_size,
        "heads": config.num_attention_heads,
        "key_value_heads": config.num_key_value_heads,
        "vocabulary": config.vocab_size,
        "context": config.max_position_embeddings,
        "sliding_window": config.sliding_window,
        "tied_embeddings": config.tie_word_embeddings,
        "rope_theta": config.rope_theta,
        "rope_scaling": vars(config.rope_scaling) if config.rope_scaling else None,
        "weights_bytes": memory(config),
        "cache_bytes_per_token": 2 * 2 * config.num_hidden_layers * config.num_key_value_heads * config.head_dim,
        "special_tokens": _special_tokens(path),
        "stored_as": _stored_as(path),
        "licence": read_gguf_file(path).get("general.license", str) if is_gguf(path) else _licence(path),
    }


def memory(config: LlamaConfig) -> dict[str, int]:
    """Bytes of the weights by dtype; for quantised weights, without their scales."""
    embeddings = config.vocab_size * config.hidden_size * (1 if config.tie_word_embeddings else 2)
    others = config.num_parameters - embeddings
    return {name: int(others * size + embeddings * max(size, 2.0)) for name, size in _BYTES.items()}


def in_lines(about: dict[str, Any]) -> list[str]:
    """The lines of a table with two columns: key and value."""
    lines = []
    for key, value in about.items():
        if key == "stored_as" and value is None:  # only a GGUF file counts its tensors by type
            continue
        if key == "weights_bytes":
            value = ", ".join(f"{name} {_size(size)}" for name, size in value.items())
        elif key == "parameters":
            value = f"{value:,} ({short(value)})"
        elif isinstance(value, dict):
            value = ", ".join(f"{name} {part}" for name, part in value.items() if part is not None)
        lines.append(f"{key.replace('_', ' '):24}{'none' if value in (None, '') else value}")
    return lines


def _size(num_bytes: int) -> str:
    return f"{num_bytes / 1e9:.2f} GB" if num_bytes >= 1e8 else f"{num_bytes / 1e6:.2f} MB"


def _stored_as(path: Path) -> dict[str, int] | None:
    """The number of tensors by type in a GGUF file; None for other formats."""
    return dict(Counter(tensor.kind.name for tensor in read_gguf_file(path).tensors)) if is_gguf(path) else None


def _special_tokens(path: Path) -> dict[str, int | None]:
    if not has_tokenizer(path):
        return {}
    tokenizer = load_tokenizer(path)
    ids = {
        "bos": tokenizer.bos_id,
        "eos": tokenizer.eos_id,
        "prefix": tokenizer.prefix_id,
        "suffix": tokenizer.suffix_id,
        "middle": tokenizer.middle_id,
        "end of middle": tokenizer.eot_id,
    }
    return {name: number for name, number in ids.items() if number is not None}


def _licence(directory: Path) -> str | None:
    readme = directory / "README.md"
    if readme.is_file():
        header = re.match(r"---\n(.*?)\n---", readme.read_text(encoding="utf-8", errors="replace"), re.S)
        if header and (stated := re.search(r"^license(?:_name)?:[ \t]*(\S+)", header[1], re.M)):
            return stated[1]
    for file in sorted(directory.glob("LICENSE*")):
        text = file.read_text(encoding="utf-8", errors="replace")
        return next((name for name, words in _LICENCES.items() if re.search(words, text)), f"see {file.name}")
    return None
