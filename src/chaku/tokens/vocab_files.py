"""Read a byte-level tokenizer from `vocab.json` and `merges.txt` into the form of `tokenizer.json`."""

from pathlib import Path
from typing import Any

from chaku.errors import ChakuError
from chaku.files import read_json
from chaku.tokens.byte_level import byte_level_definition
from chaku.tokens.special import token_name
from chaku.tokens.word_splitting import BY_NAME

# The files do not say how words are split. transformers' classes do, and tokenizer_config.json names the class.
SPLITTING = {"GPT2Tokenizer": "gpt-2", "Qwen2Tokenizer": "qwen2"}


def has_vocab_files(directory: Path) -> bool:
    return (directory / "vocab.json").is_file() and (directory / "merges.txt").is_file()


def read_vocab_files(directory: Path, config: dict[str, Any]) -> dict[str, Any]:
    """The content of an equal `tokenizer.json`. `config`: the content of `tokenizer_config.json`.

    Raises ChakuError for a tokenizer class that is not in `SPLITTING`, and for merges of unknown pieces.
    """
    name = str(config.get("tokenizer_class", "")).removesuffix("Fast")
    if name not in SPLITTING:
        raise ChakuError(
            f"{directory} has vocab.json and merges.txt, but the tokenizer_class in its tokenizer_config.json is not "
            f"one that chaku knows ({', '.join(SPLITTING)}): add the model's tokenizer.json"
        )
    vocab: dict[str, int] = read_json(directory / "vocab.json")
    lines = (directory / "merges.txt").read_text(encoding="utf-8").splitlines()
    merges = [line.split(" ") for line in lines if line.strip() and not line.startswith("#version")]
    for merge in merges:
        if len(merge) != 2 or not {*merge, "".join(merge)} <= vocab.keys():
            raise ChakuError(
                f"{directory}/merges.txt: the merge {' '.join(merge)!r} needs pieces that vocab.json lacks; get both "
                "files again"
            )
    special, defined = _added(directory, config)
    ends = [token_name(config, key) for key in ("bos_token", "eos_token", "pad_token", "unk_token")]
    special |= {piece: vocab[piece] for piece in ends if piece in vocab}
    every = {**vocab, **special, **defined}
    bos = token_name(config, "bos_token") if config.get("add_bos_token") else None
    return byte_level_definition(every, merges, special, BY_NAME[SPLITTING[name]], defined=defined, bos=bos)


def _added(directory: Path, config: dict[str, Any]) -> tuple[dict[str, int], dict[str, int]]:
    """(special, defined): the ids of added tokens by name; `defined` tokens are not special."""
    path = directory / "added_tokens.json"
    special: dict[str, int] = read_json(path) if path.is_file() else {}
    defined: dict[str, int] = {}
    for number, token in config.get("added_tokens_decoder", {}).items():
        special.pop(token["content"], None)
        (special if token.get("special") else defined)[token["content"]] = int(number)
    return special, defined
