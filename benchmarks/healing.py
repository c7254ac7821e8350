"""Whether healing helps a person who types: HumanEval's solutions, cut in a line, and the rest of the line asked for.

CHAKU_BENCHMARKS=DIRECTORY python benchmarks/healing.py SmolLM2-135M-Instruct.Q4_1.gguf

The cut is inside a word, after the indentation, or after a sign. A model that infills also gets the text after the
line. Greedy; a line counts when it is exactly the solution's.
"""

import argparse
import gzip
import json
import os
import random
import re
from pathlib import Path

from chaku.console import show_table
from chaku.inference.generator import InfillPrompt, Request, SamplingParams, TextPrompt
from chaku.inference.load import load_engine

CUTS = {"word": r"[A-Za-z_]{3,}", "indentation": r"(?m)^ +", "sign": r"[^A-Za-z0-9_\n\s][ ]?"}


def main() -> None:
    """Show the exact matches of each model, kind of cut and way to ask."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", type=Path, metavar="GGUF")
    parser.add_argument("--limit", type=int, default=100)
    options = parser.parse_args()
    for model in options.models:
        engine = load_engine(model)
        rows: list[list[object]] = []
        for kind in CUTS:
            cases = _cases(kind)[: options.limit]
            row: list[object] = [kind, len(cases)]
            for healing in (False, True):
                params = SamplingParams(max_tokens=24, stop=("\n",), healing=healing)
                requests = [
                    Request(
                        InfillPrompt(before, after, window=True) if engine.tokenizer.infilling else TextPrompt(before),
                        params,
                    )
                    for before, _, after in cases
                ]
                written = engine.answer(requests)
                row.append(
                    sum(
                        completion.text.rstrip() == rest.rstrip()
                        for completion, (_, rest, _) in zip(written, cases, strict=True)
                    )
                )
            rows.append(row)
        show_table(model.stem, ["cut", "lines", "not healed", "healed"], rows)


def _cases(kind: str) -> list[tuple[str, str, str]]:
    """(the text before the cut, the rest of the line, the text after the line)."""
    path = Path(os.environ["CHAKU_BENCHMARKS"]) / "humaneval" / "HumanEval.jsonl.gz"
    draw, cases = random.Random(7), []
    for line in gzip.decompress(path.read_bytes()).decode().splitlines():
        task = json.loads(line)
        solution = task["canonical_solution"].rstrip("\n")
        spots = [match.span() for match in re.finditer(CUTS[kind], solution) if match.end() < len(solution)]
        if not spots:
            continue
        begin, end = draw.choice(spots)
        cut = draw.randrange(begin + 1, end) if kind == "word" else end
        line_end = solution.find("\n", cut) % (len(solution) + 1)
        cases.append((task["prompt"] + solution[:cut], solution[cut:line_end], solution[line_end:]))
    return cases


if __name__ == "__main__":
    main()
