"""Read Meta's `tokenizer.model` of Llama 3, in tiktoken's form: one line per token, base64 and rank."""

import base64
import binascii
import itertools
from pathlib import Path
from typing import Any

from chaku.errors import ChakuError
from chaku.tokens.byte_level import BYTE_NAMES, byte_level_definition
from chaku.tokens.word_splitting import BY_NAME

# The special tokens, whose ids follow the ranked tokens' (Llama 3.1's released tokenizer.py; in Llama 3 some of them
# are reserved tokens).
_NAMED = [
    "begin_of_text",
    "end_of_text",
    "reserved_special_token_0",
    "reserved_special_token_1",
    "finetune_right_pad_id",
    "step_id",
    "start_header_id",
    "end_header_id",
    "eom_id",
    "eot_id",
    "python_tag",
]
_NUM_SPECIAL = 256


def is_tiktoken_file(path: Path) -> bool:
    """Whether a file begins with a line of two words, the second a number, as tiktoken's files do."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        words = file.readline(1000).split()
    return len(words) == 2 and words[1].isdigit()


def read_tiktoken_file(path: Path) -> tuple[dict[str, Any], dict[str, str]]:
    """(content of an equal `tokenizer.json`, the names of BOS and EOS as in `tokenizer_config.json`).

    tiktoken ranks tokens; `tokenizer.json` lists merges. The merge of a token is the last pair that forms it. Raises
    ChakuError for a file that is cut short or damaged.
    """
    try:
        lines = [line.split() for line in path.read_bytes().splitlines() if line.strip()]
        ranks = {base64.b64decode(token, validate=True): int(rank) for token, rank in lines}
    except (ValueError, binascii.Error) as error:
        raise ChakuError(f"{path} is not a complete list of tokens and ranks ({error}); copy it again") from error
    if sorted(ranks.values()) != list(range(len(ranks))) or any(bytes([byte]) not in ranks for byte in range(256)):
        raise ChakuError(f"{path} is not a complete list of tokens and ranks: some are missing; copy it again")

    def name(token: bytes) -> str:
        return "".join(BYTE_NAMES[byte] for byte in token)

    pairs = (_last_pair(token, ranks) for token in sorted(ranks, key=ranks.__getitem__))
    merges = [[name(left), name(right)] for left, right in filter(None, pairs)]
    special = [f"<|{name}|>" for name in _NAMED]
    special += [f"<|reserved_special_token_{number}|>" for number in range(2, _NUM_SPECIAL - len(special) + 2)]
    bos, eos = special[0], special[1]
    vocab = {name(token): rank for token, rank in ranks.items()}
    numbers = {piece: len(ranks) + index for index, piece in enumerate(special)}
    definition = byte_level_definition(vocab, merges, numbers, BY_NAME["llama-bpe"], bos=bos)
    return definition, {"bos_token": bos, "eos_token": eos}


def _last_pair(token: bytes, ranks: dict[bytes, int]) -> list[bytes] | None:
    """The last two tokens that byte-pair encoding joins to form a token.

    None for a single byte, and for a token that no pairs form: it only matches a whole word (`ignore_merges`).
    """
    parts = [bytes([byte]) for byte in token]
    while len(parts) > 2:
        pairs = [ranks.get(left + right, len(ranks)) for left, right in itertools.pairwise(parts)]
        at = pairs.index(min(pairs))
        if pairs[at] >= ranks[token]:
            return None
        parts[at : at + 2] = [parts[at] + parts[at + 1]]
    return parts if len(parts) == 2 else None
