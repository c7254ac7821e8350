"""A run directory as a finished demo leaves it, with curves that fall the way losses do."""

import json
import math
import random
from pathlib import Path
from typing import Any

import pytest

from chaku.results import BenchmarkResult, MeasureResult, ShownSample

MODEL = {
    "vocab_size": 4096,
    "hidden_size": 256,
    "num_hidden_layers": 4,
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
    "max_position_embeddings": 512,
    "rope_theta": 1e4,
}
# name, parent, steps, sequence length, rotary base, infilling rate, loss at first and last
STAGES = (
    ("base", None, 220, 512, 1e4, 0.0, 8.3, 4.05),
    ("code", "base", 640, 512, 1e4, 0.81, 4.3, 3.02),
    ("long", "code", 60, 2048, 1e6, 0.62, 3.1, 2.95),
    ("python", "code", 260, 512, 1e4, 0.80, 2.9, 2.61),
    ("python-long", "python", 50, 2048, 1e6, 0.60, 2.65, 2.57),
)
LANGUAGES = {"Python": 21_400_000, "C": 9_100_000, "JavaScript": 1_900_000, "Perl": 8_800_000, "Shell": 600_000}


def put(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    root = tmp_path / "demo"
    put(root / "recipe.json", {"name": "demo", "stages": {name: {"parent": parent} for name, parent, *_ in STAGES}})
    put(root / "budget.json", {"minutes": 8, "tokens_per_second": 14_200, "tokens": 6_816_000})
    put(root / "timings.json", timings())
    put(root / "samples.json", samples())
    put(root / "corpus" / "summary.json", summary())
    for number, stage in enumerate(STAGES):
        write_stage(root / "stages" / stage[0], number, *stage)
    for number, (name, *_) in enumerate(STAGES):
        for benchmark, results in measures(number).items():
            write_measure(root, name, benchmark, results)
        write_score(root, name, "humaneval", 0, 164)
        sample = ShownSample(
            "first/3", 0, "failed", False, "AssertionError", 0.1, "def add(a, b):\n", "    return a & b\n"
        )
        write_score(root, name, "first_steps", number, 24, timed_out=2, samples=(sample,))
    return root


MANIFEST = {"seed": 1, "model_sha256": "ab" * 32, "prompt_form": "<unstripped>"}


def write_measure(root: Path, stage: str, name: str, results: dict[str, Any]) -> None:
    MeasureResult(name, MANIFEST, results, stage=stage).write(root / "evals" / stage / f"{name}.json")


def write_score(
    root: Path,
    stage: str,
    name: str,
    passed: int,
    problems: int,
    timed_out: int = 0,
    samples: tuple[ShownSample, ...] = (),
) -> None:
    result = BenchmarkResult(
        benchmark=name,
        manifest=MANIFEST,
        stage=stage,
        pass_at_k={1: passed / problems},
        intervals_95={1: (0.0, 1.0)},
        num_problems=problems,
        num_samples=problems,
        num_passed=passed,
        measures={},
        verdicts={"failed": problems - passed - timed_out, "timed_out": timed_out, "passed": passed},
        by_group={},
        samples=samples,
    )
    result.write(root / "evals" / stage / f"{name}.json")


def write_stage(
    folder: Path,
    number: int,
    name: str,
    parent: str | None,
    steps: int,
    length: int,
    theta: float,
    infilled: float,
    first: float,
    last: float,
) -> None:
    rng, lines = random.Random(number), []
    for step in range(1, steps + 1):
        fall = math.exp(-6 * step / steps)
        lines.append(
            {
                "step": step,
                "tokens": step * 8192,
                "loss": last + (first - last) * fall + rng.gauss(0, 0.05),
                "learning_rate": 1e-3,
                "grad_norm": 0.8,
                "tokens_per_second": 14_000 + rng.gauss(0, 400),
                "flops_per_second": 3.1e11,
                "mfu": 0.62,
                "infilling_rate": infilled,
                "seconds": step * 0.58,
            }
        )
        if step % 20 == 0 or step == steps:
            loss = last + 0.1 + (first - last) * fall
            lines.append({"step": step, "heldout_loss": {"code": loss, "python": loss - 0.2, "prose": loss + 0.9}})
        if step % 100 == 0:
            lines.append({"step": step, "sample": {"prompt": "def add(a, b):\n", "text": "    return a + b\n"}})
    folder.mkdir(parents=True)
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    facts = {
        "name": name,
        "parent": parent,
        "config": {"sequence_length": length, "training": {"learning_rate": 1e-3 / (1 + number)}},
        "model": MODEL | {"rope_theta": theta, "max_position_embeddings": length},
        "num_parameters": 5_230_000,
        "seed": 1,
        "tokens": steps * 8192,
        "steps": steps,
        "seconds": steps * 0.58,
        "fingerprint": f"{number:x}" * 64,
        "weights_sha256": "cd" * 32,
        "versions": {"chaku": "0.1.0", "torch": "2.13.0", "python": "3.11.9"},
    }
    put(folder / "stage.json", facts)


def measures(number: int) -> dict[str, dict[str, Any]]:
    better = 0.12 * number
    by_language = {
        name: {"bits_per_byte": 2.1 - better + i * 0.06, "xz_bits_per_byte": 1.9, "bytes": size // 50, "documents": 40}
        for i, (name, size) in enumerate(LANGUAGES.items())
    }
    extends = number in (2, 4)
    perplexity = [30.0, 21.0, 17.5, 16.0] + ([15.2, 14.9, 14.8, 14.9] if extends else [24.0, 60.0, 140.0, 260.0])
    cell = 0.6 if extends else 0.0
    return {
        "bits_per_byte": {
            "by_language": by_language,
            "overall": {"bits_per_byte": 2.15 - better, "xz_bits_per_byte": 1.95, "bytes": 812_000, "documents": 190},
        },
        "infilling": {
            "num_examples": 200,
            "psm": {"exact_match": 0.04 * number},
            "spm": {"exact_match": 0.045 * number},
            "left_to_right": {"exact_match": 0.02 * number},
            "examples": [
                {
                    "prefix": "import os\n\n\ndef size(path):\n",
                    "middle": "    return os.stat(path).st_size",
                    "suffix": "\n\n\nprint(size('a') < 3)\n",
                    "psm": "    return os.stat(path).st_size",
                    "spm": "    return path",
                    "left_to_right": "    <b>bold</b>",
                }
            ],
        },
        "perplexity": {
            "edges": [0, 64, 128, 256, 512, 1024, 2048, 4096, 8192],
            "perplexity": perplexity,
            "training_length": 2048 if extends else 512,
            "documents": 8,
        },
        "key_retrieval": {
            "lengths": [256, 512, 1024],
            "positions": [0, 0.2, 0.4],
            "accuracy": [[cell, cell / 2, cell], [cell / 2, cell, 0.0], [0.0, 0.0, cell / 4]],
            "forced_accuracy": [[cell + 0.1] * 3, [0.2, 0.1, 0.3], [0.0, 0.0, 0.1]],
            "num_examples": 16,
        },
    }


def samples() -> list[dict[str, Any]]:
    prefix = 'def remove_non_ascii(s: str) -> str:\n    """ '
    middle = 'Return the string without <non-ASCII> characters. """\n    result = "".join(c for c in s if ord(c) < 128)'
    infill = {"stage": "long", "kind": "infill", "prefix": prefix, "middle": middle, "suffix": "\n    return result\n"}
    return [
        {
            "stage": "python-long",
            "kind": "complete",
            "prefix": "def fib(n):\n",
            "text": "    if n < 2:\n        return n\n",
        },
        {**infill, "mode": "psm"},
        {**infill, "mode": "spm"},
    ]


def summary() -> dict[str, Any]:
    kept = []
    for split, share in (("train", 0.98), ("heldout", 0.02)):
        for name, size in LANGUAGES.items():
            kept.append(
                {
                    "kind": "code",
                    "language": name,
                    "split": split,
                    "documents": int(size / 9000 * share),
                    "bytes": int(size * share),
                }
            )
        for kind, name, size in (
            ("code_prose", "Markdown", 800_000),
            ("code_prose", "docstrings", 3_100_000),
            ("prose", "Text", 2_400_000),
        ):
            kept.append(
                {
                    "kind": kind,
                    "language": name,
                    "split": split,
                    "documents": int(size / 4000 * share),
                    "bytes": int(size * share),
                }
            )
    dropped = [
        {"reason": "exact_duplicate", "language": "Python", "documents": 812, "bytes": 5_200_000},
        {"reason": "exact_duplicate", "language": "C", "documents": 301, "bytes": 900_000},
        {"reason": "too_large", "language": "JavaScript", "documents": 14, "bytes": 31_000_000},
        {"reason": "not_utf8", "language": None, "documents": 9, "bytes": 81_000},
    ]
    return {
        "kept": kept,
        "dropped": dropped,
        "samples": {"too_large": [{"path": "a.js", "source": "m", "detail": ""}, {"path": "b.js", "detail": "32 MB"}]},
        "replaced": [{"what": "GitHub token", "documents": 2, "places": 3}],
        "checked_problems": 1138,
        "seconds": 21.5,
        "sources": [{"name": "machine"}],
    }


def timings() -> list[dict[str, Any]]:
    rows = [
        ("corpus", 21.5, 47_000_000, "bytes"),
        ("tokenizer", 12.2, 20_000_000, "bytes"),
        ("encode", 4.1, 14_100_000, "tokens"),
    ]
    rows += [(f"train {name}", steps * 0.58, steps * 8192, "tokens") for name, _, steps, *_ in STAGES]
    rows += [("eval base", 31.0, 5, "benchmarks"), ("samples", 2.4, 3, "samples")]
    return [{"name": name, "seconds": seconds, "items": items, "unit": unit} for name, seconds, items, unit in rows]
