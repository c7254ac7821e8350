"""Judges samples that are whole programs, without putting the prompt before them."""

import re
from collections.abc import Sequence
from dataclasses import replace

from chaku.errors import ChakuError
from chaku.evals.benchmark import Benchmark, Task
from chaku.evals.samples import Sample
from chaku.sandbox.verdict import Job


def judge_whole_programs(
    benchmark: Benchmark, tasks: Sequence[Task], samples: Sequence[Sample]
) -> tuple[Benchmark, list[Task], list[Sample], int]:
    """The benchmark, tasks and samples, changed so that whole programs are judged right; and the number of these.

    Without whole programs, nothing changes. With whole programs, the benchmark judges programs, as in its chat form:
    the other samples and the references get their prompts put before them. For a benchmark without a chat form, the
    prompt is cut from every whole program. Raises ChakuError, with the problem, when such a program does not begin with
    the prompt.
    """
    by_id = {task.task_id: task for task in tasks}
    whole = [is_whole(by_id[sample.task_id], sample) for sample in samples]
    if benchmark.is_program or not any(whole):
        return benchmark, list(tasks), list(samples), sum(whole)
    form = benchmark.chat
    if form is None:
        cut = [
            replace(sample, completion=_after_prompt(benchmark, by_id[sample.task_id], sample))
            if is_program
            else sample
            for sample, is_program in zip(samples, whole, strict=True)
        ]
        return benchmark, list(tasks), cut, sum(whole)
    make_program, make_jobs, wrong = form.program, form.jobs, benchmark.wrong

    def program(task: Task, completion: str) -> str:
        return make_program(_told(task), completion)

    def jobs(task: Task, completion: str) -> list[Job]:
        return make_jobs(_told(task), completion)

    programs = [
        sample if is_program else replace(sample, completion=program(by_id[sample.task_id], sample.completion))
        for sample, is_program in zip(samples, whole, strict=True)
    ]
    judged = [
        replace(task, references=tuple(program(task, reference) for reference in task.references)) for task in tasks
    ]
    of_programs = replace(
        benchmark,
        prompt_form="whole programs",
        jobs=jobs,
        wrong=(lambda task: program(task, wrong(task))) if wrong else None,
    )
    return of_programs, judged, programs, sum(whole)


def is_whole(task: Task, sample: Sample) -> bool:
    """Whether a sample is a whole program.

    If its file does not say so, a whole program begins with the prompt, or defines the problem's function without an
    indent.
    """
    if sample.kind != "either":
        return sample.kind == "program"
    if task.suffix is None and task.prompt.strip() and sample.completion.lstrip("\r\n").startswith(task.prompt.strip()):
        return True
    name = task.data.get("entry_point", "")
    return bool(name) and re.search(rf"^(async )?def {re.escape(name)}\b", sample.completion, re.MULTILINE) is not None


def _told(task: Task) -> Task:
    """The task with its prompt in its data, as `ChatForm` expects."""
    return replace(task, data={**task.data, "prompt": task.prompt})


def _after_prompt(benchmark: Benchmark, task: Task, sample: Sample) -> str:
    text = sample.completion
    if task.suffix is None and text.startswith(task.prompt):
        return text[len(task.prompt) :]
    if task.suffix is None and text.lstrip("\r\n").startswith(task.prompt.strip()):
        return text.lstrip("\r\n")[len(task.prompt.strip()) :]
    raise ChakuError(
        f"{benchmark.name}: the sample of {task.task_id} is a whole program that does not begin with the problem's "
        "prompt, but this benchmark judges the text after the prompt; give only this text, as `completion`"
    )
