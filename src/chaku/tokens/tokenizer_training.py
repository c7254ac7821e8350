"""Train a Llama-style tokenizer on documents."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from chaku.errors import ChakuError
from chaku.tokens.definition import SPACE, llama_definition
from chaku.tokens.tokenizer import SENTINELS, Tokenizer

BYTES = [f"<0x{byte:02X}>" for byte in range(256)]

# Pieces never cross these units, as with SentencePiece for Llama: a run of spaces except the last; a word or a run of
# signs, with the space before it; a digit; a line break. So no piece contains a line break or two digits.
_UNITS = rf"{SPACE}?[^\W\d_]+|{SPACE}?(?:[^\w\s{SPACE}]|_)+|\d|{SPACE}+(?=[^\s{SPACE}])|{SPACE}+|\s"


def train_tokenizer(texts: Iterable[str], vocab_size: int) -> Tokenizer:
    """Train byte-pair encoding with `vocab_size` ids: unk, bos, eos, 256 bytes, pieces, the four infilling tokens.

    The same texts give the same tokenizer. Memory holds all texts. Raises ChakuError when `vocab_size` leaves no room
    for pieces, and when the texts are too few to fill the vocabulary.
    """
    import tokenizers
    from tokenizers import Regex, models, pre_tokenizers, trainers

    control = ["<unk>", "<s>", "</s>"]
    first = len(control) + len(BYTES)
    if vocab_size < first + len(SENTINELS) + 1:
        raise ChakuError(
            f"a vocabulary of {vocab_size} is too small: bytes and special tokens take {first + len(SENTINELS)} ids; "
            "raise tokenizer.vocab_size"
        )
    trained = tokenizers.Tokenizer(models.BPE(unk_token="<unk>"))
    trained.pre_tokenizer = pre_tokenizers.Split(Regex(_UNITS), behavior="isolated")
    room = vocab_size - first - len(SENTINELS)
    lines = list(_without_line_breaks(texts))
    # Single characters take at most half of the pieces; rarer characters are encoded as bytes.
    alphabet = _commonest_characters(lines, min(1000, max(room // 2, 1)))
    trainer = trainers.BpeTrainer(
        vocab_size=room,
        special_tokens=[],
        show_progress=False,
        initial_alphabet=alphabet,
        limit_alphabet=len(alphabet),
    )
    trained.train_from_iterator(lines, trainer)
    learnt: dict[str, Any] = json.loads(trained.to_str())["model"]
    pieces = sorted(learnt["vocab"], key=learnt["vocab"].__getitem__)
    size = first + len(pieces) + len(SENTINELS)
    if size < vocab_size:
        raise ChakuError(
            f"the texts fill a vocabulary of only {size} ids, not {vocab_size}; give more texts, or lower "
            "tokenizer.vocab_size"
        )
    vocab = {piece: number for number, piece in enumerate([*control, *BYTES, *pieces])}
    special = {piece: number for number, piece in enumerate(control)}
    special |= {piece: len(vocab) + index for index, piece in enumerate(SENTINELS)}
    return Tokenizer(llama_definition(vocab, learnt["merges"], special))


def _commonest_characters(lines: list[str], number: int) -> list[str]:
    """The `number` most common characters. The library's trainer would choose randomly among equally common ones."""
    counts = Counter[str]()
    for start in range(0, len(lines), 10_000):  # one `update` per line would be slow
        counts.update("".join(lines[start : start + 10_000]))
    return sorted(sorted(counts, key=lambda character: (-counts[character], character))[:number])


def _without_line_breaks(texts: Iterable[str]) -> Iterator[str]:
    for text in texts:
        for line in text.replace(SPACE, "").split("\n"):
            if line:
                yield line.replace(" ", SPACE)
