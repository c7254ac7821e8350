"""A file of three problems, and samples of them."""

import json

import pytest

from warm_sandboxes import parked, warm_sandboxes  # noqa: F401

PROBLEMS = [
    {
        "task_id": f"Little/{name}",
        "prompt": f'def {name}(a, b):\n    """Return {sign} of a and b."""\n',
        "canonical_solution": f"    return a {sign} b\n",
        "test": f"def check(candidate):\n    assert candidate(6, 3) == {6 + 3 if sign == '+' else 6 * 3}\n",
        "entry_point": name,
    }
    for name, sign in (("add", "+"), ("times", "*"), ("plus", "+"))
]


@pytest.fixture
def problems(tmp_path):
    """Three problems in HumanEval's form."""
    path = tmp_path / "problems.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in PROBLEMS))
    return path


@pytest.fixture
def write_samples(tmp_path):
    """Writes (task_id, completion) pairs as a file of samples."""

    def write(*pairs):
        path = tmp_path / "samples.jsonl"
        rows = [{"task_id": task_id, "completion": completion} for task_id, completion in pairs]
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return path

    return write
