"""Load a tokenizer from any of the file formats that chaku reads."""

from pathlib import Path
from typing import Any

from chaku.errors import ChakuError
from chaku.files import read_json
from chaku.gguf_file import is_gguf
from chaku.tokens.byte_level import ByteLevelTokenizer, is_byte_level
from chaku.tokens.gguf_tokenizer import read_gguf_tokenizer
from chaku.tokens.sentencepiece import read_sentencepiece
from chaku.tokens.special import leave_out_unembedded
from chaku.tokens.tiktoken_file import is_tiktoken_file, read_tiktoken_file
from chaku.tokens.tokenizer import Tokenizer
from chaku.tokens.vocab_files import has_vocab_files, read_vocab_files


def load_tokenizer(path: Path) -> Tokenizer:
    """Load a tokenizer from a directory, a `tokenizer.json`, a `tokenizer.model` (SentencePiece's or Llama 3's), or a
    GGUF file.

    A directory holds one of these files, or `vocab.json` with `merges.txt`. The `tokenizer_config.json` beside the file
    names BOS and EOS. A byte-level tokenizer is returned as a `ByteLevelTokenizer`. Tokens without an embedding in the
    model beside the file are left out, with a message. Raises ChakuError for any other file.
    """
    if is_gguf(path):
        definition, config = read_gguf_tokenizer(path)
        return (ByteLevelTokenizer if is_byte_level(definition) else Tokenizer)(definition, config)
    if path.is_dir():
        files = [path / "tokenizer.json", path / "tokenizer.model"]
        config = _read_config(path)
        if not files[0].is_file() and has_vocab_files(path):
            return ByteLevelTokenizer(read_vocab_files(path, config), config)
        path = next((file for file in files if file.is_file()), files[0])
    config = _read_config(path.parent)
    if path.suffix == ".model":
        if is_tiktoken_file(path):
            definition, names = read_tiktoken_file(path)
            return ByteLevelTokenizer(definition, {**names, **config})
        definition, names = read_sentencepiece(path)
        return Tokenizer(definition, {**names, **config})
    definition = read_json(path)
    model = definition.get("model", {}) if isinstance(definition, dict) else {}
    beside = path.with_name("config.json")
    if model.get("type") == "BPE" and (num_embeddings := beside.is_file() and read_json(beside).get("vocab_size")):
        definition, config = leave_out_unembedded(definition, config, num_embeddings)
    if model.get("type") == "BPE" and model.get("byte_fallback") and "<0x00>" in model.get("vocab", {}):
        return Tokenizer(definition, config)
    if model.get("type") == "BPE" and is_byte_level(definition):
        return ByteLevelTokenizer(definition, config)
    raise ChakuError(
        f"{path} is neither a Llama tokenizer (byte-pair encoding with byte fallback) nor a byte-level tokenizer; "
        "chaku reads no other kind"
    )


def has_tokenizer(path: Path) -> bool:
    """Whether `load_tokenizer` finds a file to read."""
    return is_gguf(path) or any((path / name).is_file() for name in ("tokenizer.json", "tokenizer.model", "merges.txt"))


def _read_config(directory: Path) -> dict[str, Any]:
    """`tokenizer_config.json`, with the chat template, which newer checkpoints keep in chat_template.jinja."""
    path, template = directory / "tokenizer_config.json", directory / "chat_template.jinja"
    config = read_json(path) if path.is_file() else {}
    names = directory / "special_tokens_map.json"  # old checkpoints name special tokens only here
    if names.is_file():
        config = {**read_json(names), **config}
    if template.is_file():
        config["chat_template"] = template.read_text(encoding="utf-8")
    return config
