"""Synthetic exercises with signatures of operations that no training data has (`synthetic/exercises.py`).

They show the effect of selection by execution on these exercises; they say nothing about other benchmarks.
"""

from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path

from chaku.errors import ChakuError
from chaku.evals.benchmark import Benchmark, Task
from chaku.sandbox.verdict import Job
from chaku.synthetic.exercises import CHAT, FINE_TUNING_FRAMES, exercises

NUM_PROBLEMS = 300
NUM_SAMPLED = 100  # the first problems, which are sampled for pass@10
NUM_TESTS = 12
SEEN, NEW = "words as in fine-tuning", "words new to fine-tuning"


def load(number: int, path: Path | None = None) -> list[Task]:
    """The first `number` problems, always the same. Raises ChakuError for a path, as they are not in a file."""
    if path is not None:
        raise ChakuError("the exercises are generated, not read from a file; leave out --problems")
    made = exercises("problems", 0, held_out=True, num_tests=NUM_TESTS)
    return [
        Task(
            f"exercise/{place}",
            CHAT.format(question=exercise.question),
            references=(exercise.code,),
            group=SEEN if exercise.frame in FINE_TUNING_FRAMES else NEW,
            data={"question": exercise.question, "tests": list(exercise.tests), "signature": list(exercise.signature)},
        )
        for place, exercise in enumerate(islice(made, number))
    ]


def jobs(task: Task, completion: str) -> list[Job]:
    """The function and its asserts. A chat reply begins with a space, which is removed."""
    return [Job(completion.strip(" "), tests=tuple(task.data["tests"]), entry_point="f")]


EXERCISES = Benchmark("exercises", partial(load, NUM_PROBLEMS), "Llama 2's chat, zero-shot", jobs, max_tokens=96)
EXERCISES_SAMPLED = replace(
    EXERCISES, name="exercises-sampled", load=partial(load, NUM_SAMPLED), num_samples=10, temperature=0.8
)
