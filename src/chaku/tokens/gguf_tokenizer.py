"""Read the tokenizer of a GGUF file into the form of `tokenizer.json` and `tokenizer_config.json`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from chaku.console import say
from chaku.errors import ChakuError
from chaku.gguf_file import GgufFile, read_gguf_file
from chaku.tokens.byte_level import BYTE_NAMES, byte_level_definition
from chaku.tokens.definition import SPACE, llama_definition
from chaku.tokens.sentencepiece import merges_by_score
from chaku.tokens.special import FIM_TOKENS
from chaku.tokens.word_splitting import BY_NAME

# The values of `tokenizer.ggml.token_type`.
_NORMAL, _UNKNOWN, _CONTROL, _USER_DEFINED, _UNUSED, _BYTE = range(1, 7)


def read_gguf_tokenizer(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """(content of `tokenizer.json`, content of `tokenizer_config.json`) for the tokenizer in a GGUF file.

    Reads byte-level vocabularies ("gpt2") and SentencePiece's ("llama"). Unused tokens, which only pad the embedding,
    are left out. Raises ChakuError for another kind, for an unknown name of a word splitting, and for a vocabulary that
    contradicts itself.
    """
    file = read_gguf_file(path)
    kind = file.need("tokenizer.ggml.model", str)
    pieces = file.need("tokenizer.ggml.tokens", list)
    types = file.get("tokenizer.ggml.token_type", list, [_NORMAL] * len(pieces))
    if not pieces or not all(isinstance(piece, str) for piece in pieces) or len(types) != len(pieces):
        raise ChakuError(
            f"{path}: its vocabulary of {len(pieces)} tokens and {len(types)} types is damaged; get the file again"
        )
    used = {number: piece for number, piece in enumerate(pieces) if types[number] != _UNUSED}
    vocab = {piece: number for number, piece in used.items()}
    if len(vocab) < len(used):
        twice = next(piece for number, piece in used.items() if vocab[piece] != number)
        raise ChakuError(
            f"{path}: its vocabulary has the token {twice!r} twice; the file is damaged or badly converted: get another"
        )
    rows = next((tensor.shape[0] for tensor in file.tensors if tensor.name == "token_embd.weight"), len(pieces))
    if max(used, default=0) >= rows:
        raise ChakuError(
            f"{path} has {max(used) + 1} tokens but only {rows} embeddings; the file is badly converted: get another"
        )
    config = _config(file, pieces, vocab)
    ends = (config["bos_token"], config["eos_token"])  # special even if the file gives them another type
    special = {
        piece: number for number, piece in used.items() if types[number] in (_CONTROL, _UNKNOWN) or piece in ends
    }
    defined = {
        piece: number for number, piece in used.items() if types[number] == _USER_DEFINED and piece not in special
    }
    adds_bos = file.get("tokenizer.ggml.add_bos_token", bool, kind == "llama" or _adds_bos(file))
    config["add_bos_token"] = adds_bos
    if adds_bos and config["bos_token"] is None:
        raise ChakuError(
            f"{path}: tokenizer.ggml.add_bos_token is set, but there is no BOS token; convert the model again"
        )
    if kind == "gpt2":
        return _byte_level(file, vocab, special, defined, config), config
    if kind == "llama":
        return _sentencepiece(file, pieces, types, vocab, special, defined, config), config
    raise ChakuError(
        f"{path}: tokenizer.ggml.model is {kind!r}; chaku reads 'gpt2' (byte-level) and 'llama'. Use the model's "
        "Hugging Face directory"
    )


def _byte_level(
    file: GgufFile,
    vocab: dict[str, int],
    special: dict[str, int],
    defined: dict[str, int],
    config: dict[str, Any],
) -> dict[str, Any]:
    name = file.get("tokenizer.ggml.pre", str, "default")
    if name not in BY_NAME:
        raise ChakuError(
            f"{file.path}: chaku does not know how the tokenizer splits words: tokenizer.ggml.pre is {name!r}, and "
            f"chaku knows {', '.join(sorted(BY_NAME))}. Use the model's Hugging Face directory"
        )
    if name == "default":
        say(
            f"{file.path} does not say how its tokenizer splits words: chaku uses llama.cpp's default, which may "
            "differ from the model's training"
        )
    merges = []
    for merge in file.need("tokenizer.ggml.merges", list):
        left, _, right = str(merge).partition(" ")
        if left not in vocab or right not in vocab or left + right not in vocab:
            raise ChakuError(
                f"{file.path}: the merge {merge!r} names a token outside the vocabulary; the file is damaged: get it "
                "again"
            )
        merges.append([left, right])
    plain = [piece for piece in vocab if piece not in special and piece not in defined]
    if unknown := set("".join(plain)) - set(BYTE_NAMES.values()):
        wrong = next(piece for piece in plain if unknown & set(piece))
        raise ChakuError(
            f"{file.path}: the token {wrong!r} is not in byte-level form; the file is damaged: get it again"
        )
    bos = config["bos_token"] if config["add_bos_token"] else None
    return byte_level_definition(vocab, merges, special, BY_NAME[name], defined=defined, bos=bos)


def _sentencepiece(
    file: GgufFile,
    pieces: Sequence[str],
    types: Sequence[int],
    vocab: dict[str, int],
    special: dict[str, int],
    defined: dict[str, int],
    config: dict[str, Any],
) -> dict[str, Any]:
    scores = file.need("tokenizer.ggml.scores", list)
    if len(scores) != len(pieces) or not all(isinstance(score, float) for score in scores):
        raise ChakuError(
            f"{file.path} has {len(scores)} scores for {len(pieces)} tokens; it is damaged: get the file again"
        )
    if missing := [f"<0x{byte:02X}>" for byte in range(256) if f"<0x{byte:02X}>" not in vocab]:
        raise ChakuError(
            f"{file.path}: the vocabulary lacks {missing[0]}; chaku needs tokens for all 256 bytes. Use another model"
        )
    if config["bos_token"] is None:
        raise ChakuError(
            f"{file.path} lacks tokenizer.ggml.bos_token_id, which a 'llama' vocabulary needs; convert the model again"
        )
    joined = [number for piece, number in vocab.items() if types[number] == _NORMAL and piece not in special]
    # User-defined pieces contain spaces in GGUF, and U+2581 in tokenizer.json.
    defined = {piece.replace(" ", SPACE): number for piece, number in defined.items()}
    apart = {*defined.values()}
    vocab = {piece: number for piece, number in vocab.items() if number not in apart} | defined
    merges = merges_by_score(vocab, {number: scores[number] for number in joined})
    space = file.get("tokenizer.ggml.add_space_prefix", bool, True)
    return llama_definition(vocab, merges, special, defined, config["bos_token"], space)


def _config(file: GgufFile, pieces: Sequence[str], vocab: dict[str, int]) -> dict[str, Any]:
    """The content of `tokenizer_config.json`: BOS, EOS and other special tokens by name, and the chat template."""
    file.need("tokenizer.ggml.eos_token_id", int)
    config: dict[str, Any] = {"bos_token": None}
    for key in ("bos", "eos", "unknown", "padding", *FIM_TOKENS):
        number = file.get(f"tokenizer.ggml.{key}_token_id", int)
        known = number is not None and 0 <= number < len(pieces) and vocab.get(pieces[number]) == number
        if number is None or (not known and key in ("unknown", "padding")):  # chaku does not need these two
            continue
        if not known:
            raise ChakuError(
                f"{file.path}: tokenizer.ggml.{key}_token_id is {number}, which is not in its vocabulary; convert the "
                "model again"
            )
        config[{"unknown": "unk", "padding": "pad"}.get(key, key) + "_token"] = pieces[number]
    if template := file.get("tokenizer.chat_template", str):
        config["chat_template"] = template
    return config


def _adds_bos(file: GgufFile) -> bool:
    """llama.cpp's default of add_bos_token for a byte-level vocabulary: True for Llama 3 and Mistral."""
    splitting = BY_NAME.get(file.get("tokenizer.ggml.pre", str, ""))
    return splitting is not None and splitting.whole_words
