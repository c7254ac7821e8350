"""Turns a benchmark into its chat form: problems become messages, and programs are taken from the replies."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from chaku.errors import ChakuError
from chaku.evals.benchmark import Benchmark, ChatForm, Task


def in_chat(benchmark: Benchmark, all_benchmarks: Mapping[str, Benchmark], *, endpoint: bool = False) -> Benchmark:
    """The benchmark in its chat form, whose completions are whole programs. `endpoint`: the replies have no opening.

    The reference solutions become whole programs too. Raises ChakuError for a benchmark without a chat form.
    """
    form = benchmark.chat
    if form is None:
        names = ", ".join(name for name, value in all_benchmarks.items() if value.chat is not None)
        raise ChakuError(
            f"{benchmark.name} has no chat form; leave out --chat, or choose a benchmark with one: {names}"
        )
    opened = bool(form.opening) and not endpoint
    not_opened = ", the reply not opened: an endpoint's cannot be" if form.opening and endpoint else ""
    wrong = benchmark.wrong

    def load(path: Path | None) -> list[Task]:
        return [_task(form, task, endpoint) for task in benchmark.load(path)]

    return replace(
        benchmark,
        load=load,
        prompt_form=f"{form.prompt_form}{not_opened}",
        jobs=form.jobs,
        stops=form.stops if opened or not form.opening else (),
        max_tokens=form.max_tokens,
        cut=form.extract,
        wrong=(lambda task: form.program(task, wrong(task))) if wrong else None,
        opening=form.opening if opened else "",
    )


def _task(form: ChatForm, task: Task, endpoint: bool) -> Task:
    message = form.endpoint_message if endpoint and form.endpoint_message else form.message
    told = replace(task, data={**task.data, "prompt": task.prompt})
    references = (form.extract(told, form.program(told, reference)) for reference in task.references)
    return replace(told, prompt=message(task), references=tuple(references))
