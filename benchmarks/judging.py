"""The share of a GRPO step that judging takes, at 2,048 verdicts a step.

    python benchmarks/judging.py --model smollm2-135m-instruct

Programs: exercises with 17 tests each, one in three of the programs wrong, every program judged anew. Queries: the
shop's training questions on the database and its variants. Sampling and the update are measured on --samples samples of
--tokens tokens and scaled up, beside the judging, in one process. Nothing overlaps here; in a step, samples are judged
while others are written, so a step waits for less. On a busy machine, only the share of processor time means something.
"""

import argparse
import random
import resource
import tempfile
import time
from dataclasses import replace
from itertools import islice
from pathlib import Path

from chaku.checkpoint.find import find_checkpoint
from chaku.checkpoint.formats import load_model
from chaku.console import show_table
from chaku.files import write_json
from chaku.inference.prompts import Prompt
from chaku.jsonl import read_lines
from chaku.reinforcement.batch import place_samples
from chaku.reinforcement.groups import Drawn, Reply
from chaku.reinforcement.programs import ProgramReward
from chaku.reinforcement.queries import QueryReward
from chaku.reinforcement.rewards import Reward
from chaku.reinforcement.tasks import Task
from chaku.reinforcement.writer import EngineWriter
from chaku.synthetic.exercises import exercises
from chaku.synthetic.shop import write_shop
from chaku.tokens.chat import Message
from chaku.tokens.load import load_tokenizer
from chaku.training.config import TrainingConfig
from chaku.training.grpo import accumulate_samples
from chaku.training.grpo_config import GrpoConfig

VERDICTS = 2048


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="smollm2-135m-instruct")
    parser.add_argument("--verdicts", type=int, default=VERDICTS, help="verdicts to measure; scaled up to 2,048")
    parser.add_argument("--samples", type=int, default=32)
    parser.add_argument("--tokens", type=int, default=128, help="of a sample")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    times = VERDICTS / options.samples
    step, step_cpu = (value * times for value in _step(options.model, options.samples, options.tokens))
    rows: list[dict[str, float | str]] = []
    for name, measure in (("programs", _programs), ("queries", _queries)):
        seconds, cpu = measure(options.verdicts)
        scaled = seconds * VERDICTS / options.verdicts
        scaled_cpu = cpu * VERDICTS / options.verdicts
        rows.append(
            {"judged": name, "verdicts_per_second": options.verdicts / seconds, "cpu_ms": 1000 * cpu / options.verdicts,
             "seconds": scaled, "step_seconds": step, "share": scaled / (scaled + step),
             "step_cpu_seconds": step_cpu, "cpu_share": scaled_cpu / (scaled_cpu + step_cpu)}
        )  # fmt: skip
    show_table(
        f"judging {VERDICTS} samples, beside sampling and training on them",
        ["", "verdicts/s", "CPU ms each", "seconds", "the rest of the step", "share", "share of CPU"],
        [
            [row["judged"], row["verdicts_per_second"], row["cpu_ms"], row["seconds"], row["step_seconds"],
             f"{row['share']:.1%}", f"{row['cpu_share']:.1%}"]
            for row in rows
        ],
    )  # fmt: skip
    if options.out:
        write_json(options.out, rows)


def _step(model_name: str, num_samples: int, num_tokens: int) -> tuple[float, float]:
    """(seconds, CPU seconds) of sampling and of the gradients for `num_samples` samples, in groups of 8."""
    path = find_checkpoint(model_name)
    model, tokenizer = load_model(path), load_tokenizer(path)
    prompt = tokenizer.encode("Write a Python function that returns the sum of the even numbers of a list.\n" * 4)
    groups = [
        Task(str(number), (), Prompt((tokenizer.bos_id, *prompt, number + 50)), {})
        for number in range(num_samples // 8)
    ]
    started, used = time.monotonic(), _cpu()
    write = EngineWriter(model, tokenizer).writing(num_samples=8, temperature=1.0, max_tokens=num_tokens, seed=1)
    replies: list[list[Reply]] = [[] for _ in groups]
    for place, _, reply in write(list(enumerate(groups))):
        replies[place].append(reply)
    drawn = [
        Drawn(number, task, tuple(found)) for number, (task, found) in enumerate(zip(groups, replies, strict=True))
    ]
    batch, _ = place_samples([(one, number) for one in drawn for number in range(len(one.replies))], 512)
    ones = batch.trained
    assert ones is not None
    batch = replace(batch, token_weights=ones.float(), advantages=ones.float())
    config = TrainingConfig(tokens=1, batch_tokens=512, micro_batch_tokens=2048, precision="float32")
    model.train()
    accumulate_samples(model, batch, GrpoConfig(1), config, model.lm_head.weight.device)
    return time.monotonic() - started, _cpu() - used


def _judge(reward: Reward, asked: list[tuple[Task, str]]) -> tuple[float, float]:
    """(seconds, CPU seconds of this process and of the processes that ended)."""
    try:
        reward.submit(*asked[0])()  # starts the workers
        started, used = time.monotonic(), _cpu()
        waiting = [reward.submit(task, text) for task, text in asked]
        solved = sum(wait().solved for wait in waiting)
        seconds = time.monotonic() - started
        assert 0 < solved < len(asked)
    finally:
        reward.close()
    return seconds, _cpu() - used


def _cpu() -> float:
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def _programs(number: int) -> tuple[float, float]:
    asked = []
    for place, made in enumerate(islice(exercises("judging", 1, held_out=False, num_tests=17), number)):
        fields = {"tests": list(made.tests[:5]), "hidden_tests": list(made.tests[5:]), "entry_point": "f"}
        task = Task(str(place), (Message("user", made.question),), Prompt((1,)), fields)
        code = made.code if place % 3 else made.code.replace("return", "return 1 or")
        asked.append((task, f"```python\n{code}```"))
    return _judge(ProgramReward(), asked)


def _queries(number: int) -> tuple[float, float]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_shop(folder, seed=1, num_train=min(number, 2000), num_dev=10, chinese=False)
        rows = [row for _, row in read_lines(folder / "train.jsonl")]
        tasks = [
            Task(
                str(place),
                (Message("user", row["question"]),),
                Prompt((1,)),
                {"query": row["query"], "database": "shop"},
            )
            for place, row in enumerate(rows)
        ]
        reward = QueryReward(tasks, folder)
        usable = [task for task in tasks if not reward.problem(task)]
        draw = random.Random(1)
        asked = []
        for place in range(number):
            task = usable[place % len(usable)]
            other = draw.choice(usable) if place % 3 == 0 else task
            asked.append((task, str(other.fields["query"])))
        return _judge(reward, asked)


if __name__ == "__main__":
    main()
