"""The thresholds of decontamination: what share of planted rewrites is found, and what is found in innocent code.

Rewrites of the solutions of HumanEval and MBPP stand among other functions. Innocent code: the standard library of
Python, and the solutions of each of the two benchmarks looked for in the other. Needs both in $CHAKU_BENCHMARKS.

    python benchmarks/decontamination.py --problems 150 --files 300
"""

import argparse
import io
import keyword
import random
import re
import sysconfig
import tokenize
from collections.abc import Callable
from pathlib import Path

from chaku.console import show_table
from chaku.corpus.cleaning import decontamination
from chaku.corpus.cleaning.decontamination import Decontamination
from chaku.evals.problems import Problem, load_problems

AROUND = """import os


def first(path):
    return os.path.basename(path)


{0}


def last(value):
    print(value)
"""
SHARES = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
DISTANCES = (0.0, 0.1, 0.2, 0.3, 0.4)


def renamed(source: str, share: float, draws: random.Random) -> str:
    """The source with other names in place of this share of its names; a name is replaced everywhere."""
    names = sorted({word for word in re.findall(r"[A-Za-z_]\w*", source) if not keyword.iskeyword(word)})
    chosen = set(draws.sample(names, round(share * len(names))))
    return re.sub(r"[A-Za-z_]\w*", lambda match: f"{match[0]}_x" if match[0] in chosen else match[0], source)


def reformatted(source: str) -> str:
    """Without comments, with other spaces inside the lines."""
    try:
        tokens = [
            token for token in tokenize.generate_tokens(io.StringIO(source).readline) if token.type != tokenize.COMMENT
        ]
        return tokenize.untokenize([(token.type, token.string) for token in tokens])
    except (tokenize.TokenError, IndentationError, SyntaxError):
        return source


def half(source: str) -> str:
    """The first half of the lines."""
    lines = source.splitlines()
    return "\n".join(lines[: len(lines) // 2 + 1])


def changed_lines(source: str, draws: random.Random) -> str:
    """With a statement of another kind after every third line of its body."""
    lines = source.splitlines()
    out = []
    for number, line in enumerate(lines):
        out.append(line)
        if number % 3 == 1 and line.strip() and not line.rstrip().endswith((":", ",", "(", "\\", "[")):
            indent = line[: len(line) - len(line.lstrip())]
            out.append(f"{indent}extra_{draws.randint(0, 99)} = {draws.randint(0, 99)}")
    return "\n".join(out)


def main() -> None:
    """Plant, look, print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--problems", type=int, default=150, help="of each benchmark")
    parser.add_argument("--files", type=int, default=300, help="of the standard library")
    options = parser.parse_args()
    draws = random.Random(0)
    benchmarks = {name: list(load_problems([name])) for name in ("humaneval", "mbpp")}
    chosen = [
        problem
        for problems in benchmarks.values()
        for problem in draws.sample(problems, min(len(problems), options.problems))
        if problem.solutions
        and len(decontamination.code_tokens(problem.solutions[0])) >= decontamination.MIN_SOLUTION_TOKENS
    ]
    rewrites: dict[str, Callable[[str], str]] = {
        "verbatim": lambda source: source,
        "reformatted, no comments": reformatted,
        "10% of names renamed": lambda source: renamed(source, 0.1, draws),
        "30% of names renamed": lambda source: renamed(source, 0.3, draws),
        "all names renamed": lambda source: renamed(source, 1.0, draws),
        "statements put in": lambda source: changed_lines(source, draws),
        "first half of the lines": half,
    }
    planted = {
        name: [AROUND.format(rewrite(problem.solutions[0])) for problem in chosen] for name, rewrite in rewrites.items()
    }
    library = Path(sysconfig.get_path("stdlib"))
    files = sorted(path for path in library.rglob("*.py") if not {"site-packages", "test"} & set(path.parts))
    innocent = [path.read_text(errors="replace") for path in draws.sample(files, min(len(files), options.files))]
    whole = Decontamination([problem for problems in benchmarks.values() for problem in problems])
    alone = {name: Decontamination(problems) for name, problems in benchmarks.items()}

    def row(label: str) -> list[object]:
        found = [
            f"{sum(whole.find(text, 'Python') is not None for text in texts) / len(texts):.1%}"
            for texts in planted.values()
        ]
        library_hits = sum(whole.find(text, "Python") is not None for text in innocent)
        others = [
            alone[name].find(AROUND.format(_solution(problem)), "Python") is not None
            for name, other in (("humaneval", "mbpp"), ("mbpp", "humaneval"))
            for problem in benchmarks[other]
        ]
        return [label, *found, f"{library_hits} of {len(innocent)}", f"{sum(others)} of {len(others)}"]

    columns = ["", *planted, "library", "the other benchmark"]
    for name, values in (("MIN_SHARE", SHARES), ("MAX_DISTANCE", DISTANCES)):
        usual = getattr(decontamination, name)
        rows = []
        for value in values:
            setattr(decontamination, name, value)
            rows.append(row(f"{value}{' (in use)' if value == usual else ''}"))
        setattr(decontamination, name, usual)
        show_table(f"{name}, {len(chosen)} solutions", columns, rows)


def _solution(problem: Problem) -> str:
    return problem.solutions[0] if problem.solutions else ""


if __name__ == "__main__":
    main()
