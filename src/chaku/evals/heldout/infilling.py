"""Single-line infilling of held-out files: one line is hidden, and the model must write it exactly.

The model gets the same examples in prefix-suffix-middle order, in suffix-prefix-middle order, and left to right with
only the prefix. The difference shows how much the suffix helps.
"""

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from chaku.documents import PIECE, read_documents
from chaku.evals.heldout.documents import pick, read_heldout
from chaku.inference.engine import Engine
from chaku.inference.generator import SamplingParams
from chaku.inference.prompts import complete, infill

PARAMS = SamplingParams(max_tokens=48, temperature=0.0, stop=("\n",))
MIN_CHARS = 5  # characters of a hidden line, stripped: shorter lines are mostly brackets
LINES_PER_DOCUMENT = 4
KEPT_EXAMPLES = 8
SHORTEST_CONTEXT = 512  # tokens


@dataclass(frozen=True)
class HiddenLine:
    """A line without its line end, and the text before and after it. `suffix` begins with the line end."""

    prefix: str
    middle: str
    suffix: str


def choose_examples(
    corpus: Path,
    *,
    num_examples: int,
    max_prefix: int = 700,
    max_suffix: int = 350,
    max_middle: int = 100,
    seed: int = 0,
) -> list[HiddenLine]:
    """Lines of held-out code, chosen by hash. Prefix and suffix are cut at line ends to the given limits of characters.

    The default limits keep nearly every example within 512 tokens of a small vocabulary. Where the corpus has pieces of
    files, the lines come from the pieces, which are the documents that models train on.
    """
    found: list[tuple[int, HiddenLine]] = []
    documents = list(read_documents(corpus, "heldout", kinds=(PIECE,))) or read_heldout(corpus, kinds=("code",))
    for document in documents:
        lines = document.text.split("\n")
        ranked = sorted(
            (pick(seed, document.sha256, number), number)
            for number, line in enumerate(lines)
            if len(line.strip()) >= MIN_CHARS and len(line) <= max_middle
        )
        for rank, number in ranked[:LINES_PER_DOCUMENT]:
            before = "".join(line + "\n" for line in lines[:number])
            after = "".join("\n" + line for line in lines[number + 1 :])
            found.append(
                (rank, HiddenLine(_last_lines(before, max_prefix), lines[number], _first_lines(after, max_suffix)))
            )
    found.sort(key=lambda pair: pair[0])
    return [example for _, example in found[:num_examples]]


def evaluate(
    engine: Engine, corpus: Path, *, num_examples: int = 96, params: SamplingParams = PARAMS, seed: int = 0
) -> dict[str, Any]:
    """The share of hidden lines that greedy decoding writes exactly, except for white space at the end.

    `psm` and `spm` are absent when the tokenizer's family does not have these orders.
    """
    tokenizer = engine.tokenizer
    # The same limit for every model of a family, so that all get the same examples.
    room = min(engine.model.config.max_position_embeddings, SHORTEST_CONTEXT) - params.max_tokens
    candidates = choose_examples(corpus, num_examples=2 * num_examples, seed=seed)
    examples = [
        candidate
        for candidate in candidates
        if len(tokenizer.encode(candidate.prefix)) + len(tokenizer.encode_infilling(candidate.suffix)) + 4 <= room
    ][:num_examples]
    prompts = {"left_to_right": [complete(tokenizer, example.prefix) for example in examples]}
    if tokenizer.infilling is not None:
        for mode in tokenizer.infilling.modes:
            prompts[mode] = [infill(tokenizer, case.prefix, case.suffix, mode=mode) for case in examples]
        params = replace(params, stop_ids=(*params.stop_ids, *sorted(tokenizer.infilling.stops)))
    answers = {
        mode: [
            completion.text
            for [completion] in engine.generate(asked, params, description=f"infill lines, {mode.replace('_', ' ')}")
        ]
        for mode, asked in prompts.items()
    }
    right = {
        mode: [text.rstrip() == example.middle.rstrip() for text, example in zip(texts, examples, strict=True)]
        for mode, texts in answers.items()
    }
    shown = [
        {**asdict(example), **{mode: texts[number] for mode, texts in answers.items()}}
        for number, example in enumerate(examples[:KEPT_EXAMPLES])
    ]
    scores = {mode: {"exact_match": sum(flags) / max(len(flags), 1)} for mode, flags in right.items()}
    return {"num_examples": len(examples), **scores, "examples": shown}


def _last_lines(text: str, max_chars: int) -> str:
    """The last lines of a text, at most `max_chars` characters."""
    if len(text) <= max_chars:
        return text
    return text[len(text) - max_chars :].partition("\n")[2]


def _first_lines(text: str, max_chars: int) -> str:
    """The first lines of a text, at most `max_chars` characters."""
    return text if len(text) <= max_chars else text[:max_chars].rpartition("\n")[0]
