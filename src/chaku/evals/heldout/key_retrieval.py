"""Key retrieval: a function that returns a number is hidden in a long file; the model completes a call to it.

Follows section 4.3 of Code Llama (arXiv 2308.12950): the key function at a relative position in the context, a
two-digit number, 64 examples a cell at full scale. Lengths here are in tokens and scale with the model's training
length.
"""

import ast
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F

from chaku.console import progress
from chaku.errors import ChakuError
from chaku.evals.heldout.documents import pick, read_heldout
from chaku.inference.decoder import Span, read_text
from chaku.inference.engine import Engine
from chaku.tokens.tokenizer import Tokenizer

POSITIONS = (0.0, 0.2, 0.4)  # the positions in the paper's table
KEY_FUNCTION = '''def my_function() -> int:
    """Note that this function is used at the end
    """
    return {value}
'''
QUESTION = "assert my_function() == "
VALUES = range(10, 100)
MAX_FUNCTION_CHARS = 800  # longer functions would make the position inexact


def evaluate(
    engine: Engine,
    corpus: Path,
    *,
    training_length: int,
    lengths: Sequence[int] | None = None,
    positions: Sequence[float] = POSITIONS,
    num_examples: int = 16,
    seed: int = 0,
) -> dict[str, Any]:
    """Two accuracies for every length and position. Default lengths: 0.5, 1 and 1.5 training lengths, as in the paper.

    `accuracy`: greedy decoding writes the number. `forced_accuracy`: the right number has the highest probability of
    all ninety two-digit numbers (chance: 1/90); it also measures small models that would write something else there.
    Raises ChakuError when the corpus has no Python function, or the tokenizer has no token for each digit.
    """
    lengths = list(lengths or (training_length // 2, training_length, training_length * 3 // 2))
    functions = python_functions(corpus)
    encoded = [engine.tokenizer.encode(function) for function in functions]
    digits = _digit_ids(engine.tokenizer)
    accuracy, forced_accuracy = [], []
    with progress("key retrieval", len(lengths) * len(positions) * num_examples, "examples") as bar:
        for length in lengths:
            cells = []
            for position in positions:
                written = ranked = 0
                for number in range(num_examples):
                    value = VALUES[pick(seed, "value", length, position, number) % len(VALUES)]
                    order = (seed, length, position, number)
                    text = write_context(engine.tokenizer, functions, encoded, length, position, value, order)
                    is_written, is_ranked = _ask(engine, text, value, digits)
                    written, ranked = written + is_written, ranked + is_ranked
                    bar.advance(1)
                cells.append((written / num_examples, ranked / num_examples))
            accuracy.append([written for written, _ in cells])
            forced_accuracy.append([ranked for _, ranked in cells])
    return {
        "lengths": lengths,
        "positions": list(positions),
        "accuracy": accuracy,
        "forced_accuracy": forced_accuracy,
        "num_examples": num_examples,
        "training_length": training_length,
    }


def python_functions(corpus: Path) -> list[str]:
    """Top-level functions of held-out Python files, with a line end. Raises ChakuError when there are none."""
    functions = []
    for document in read_heldout(corpus, kinds=("code",), languages=("Python",)):
        try:
            tree = ast.parse(document.text)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue
        for node in tree.body:
            if isinstance(node, ast.FunctionDef) and node.name != "my_function":
                source = ast.get_source_segment(document.text, node) or ""
                if 0 < len(source) <= MAX_FUNCTION_CHARS:
                    functions.append(source + "\n")
    if not functions:
        raise ChakuError(
            f"the held-out split of {corpus} has no Python function to hide a key among; gather more Python"
        )
    return functions


def write_context(
    tokenizer: Tokenizer,
    functions: Sequence[str],
    encoded: Sequence[Sequence[int]],
    length: int,
    position: float,
    value: int,
    order: tuple[object, ...],
) -> str:
    """A file of about `length` tokens, never more: random functions, the key function among them, and the question.

    `position`: the share of the other functions' tokens that comes before the key function. `order` seeds the choice.
    """
    key = KEY_FUNCTION.format(value=value)
    room = length - len(tokenizer.encode(key)) - len(tokenizer.encode(QUESTION)) - 4  # BOS, the number, line ends
    filler: list[tuple[int, str]] = []
    for draw in range(4 * len(functions) + length):
        number = pick(*order, draw) % len(functions)
        if len(encoded[number]) + 2 <= room:
            filler.append((len(encoded[number]) + 2, functions[number]))
            room -= filler[-1][0]
        elif room < 32:
            break
    total, before, place = sum(size for size, _ in filler), 0, 0
    while place < len(filler) and before + filler[place][0] / 2 <= position * total:
        before += filler[place][0]
        place += 1
    parts = [text for _, text in filler]
    return "\n\n".join([*parts[:place], key, *parts[place:], QUESTION])


def _digit_ids(tokenizer: Tokenizer) -> list[int]:
    """The ids of the digits 0 to 9 after the question; in Llama's tokenizers, every digit is a token.

    Raises ChakuError for a tokenizer that joins digits.
    """
    start = tokenizer.encode(QUESTION)
    ids = []
    for digit in range(10):
        whole = tokenizer.encode(f"{QUESTION}{digit}{digit}")
        if whole[: len(start)] != start or len(whole) != len(start) + 2 or whole[-1] != whole[-2]:
            raise ChakuError(
                "key retrieval needs a tokenizer with a token for each digit, as Llama's; leave key_retrieval out"
            )
        ids.append(whole[-1])
    return ids


def _ask(engine: Engine, text: str, value: int, digits: Sequence[int]) -> tuple[bool, bool]:
    """(whether greedy decoding writes the number, whether the number is the most likely of all two-digit numbers).

    Reads the text once, and then each of the nine first digits after it.
    """
    tokenizer, decoder = engine.tokenizer, engine.decoder
    ids = [tokenizer.bos_id, *tokenizer.encode(text)]
    blocks = range(-(-(len(ids) + 1) // decoder.block_size))
    cache = decoder.with_blocks(len(blocks))
    first = F.log_softmax(read_text(cache, ids, blocks), dim=-1)  # (vocab,)
    tens, units = list(digits[1:]), list(digits)
    logits = torch.cat([cache.forward([Span([ten], len(ids), blocks)]) for ten in tens])
    second = F.log_softmax(logits, dim=-1)  # (9, vocab)
    scores = first[tens][:, None] + second[:, units]  # (9, 10): log-probabilities of the numbers
    right_ten, right_unit = divmod(value, 10)
    ranked = int(scores.argmax()) == value - VALUES.start
    written = int(first.argmax()) == digits[right_ten] and int(second[right_ten - 1].argmax()) == digits[right_unit]
    return written, ranked
