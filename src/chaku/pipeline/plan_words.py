"""A plan as lines of text."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING

from chaku.console import short
from chaku.model.memory import gigabytes
from chaku.pipeline.plan import Plan, StagePlan, in_toml
from chaku.pipeline.sampling_plan import SamplingPlan
from chaku.training.plan import USABLE

if TYPE_CHECKING:
    from chaku.training.simulate import Simulated


def in_lines(plan: Plan) -> list[str]:
    """The stages, the sum, and the assumptions."""
    cluster = plan.cluster
    nodes = f"{cluster.nodes} nodes of {cluster.gpus_per_node}" if cluster.nodes > 1 else "one node"
    lines = [f"{plan.recipe} on {cluster.num_gpus} x {cluster.gpu} ({nodes})"]
    for stage in plan.stages:
        lines += ["", *_stage(stage, plan)]
    if (days := plan.total("days")) is not None:
        costs = _cost(*(plan.total(figure) or 0 for figure in ("gpu_hours", "kilowatt_hours", "dollars")))
        lines += ["", f"all stages: {days:,.1f} days, {costs}"]
    return [*lines, "", "assumptions:", *(f"  {line}" for line in plan.assumptions())]


def _stage(stage: StagePlan, plan: Plan) -> Iterator[str]:
    about = f"{short(stage.tokens)} tokens" if stage.tokens else "tokens set by the recipe's budget"
    yield f"stage {stage.name}: {about}"
    if stage.sampling:
        yield _sampling(stage.sampling)
    layout = stage.choice.layout
    if layout is None:
        enough = f"; {stage.enough} GPUs would be enough" if stage.enough else "; no number of them is enough"
        yield f"  does not fit: {stage.choice.why}{enough}"
        return
    yield f"  layout   {layout.in_words()}"
    yield f"  recipe   {in_toml(layout)}"
    yield f"  why      {stage.choice.why}"
    room = gigabytes(plan.cluster.kind.memory * USABLE)
    yield f"  memory   {gigabytes(layout.memory.total)} of {room}: {_kinds(asdict(layout.memory))}"
    if stage.simulated:
        yield from _simulated(stage.simulated)
    time = layout.time
    yield (
        f"  speed    {short(stage.tokens_per_second or 0)} tokens/s (MFU {stage.mfu or 0:.0%}); a step takes "
        f"{time.seconds:.1f} s: computation {time.compute:.1f} s, beside it messages {time.hidden:.1f} s, then "
        f"{time.exposed:.1f} s"
    )
    if stage.days is not None:
        yield f"  cost     {stage.days:,.1f} days, {_cost(stage.gpu_hours, stage.kilowatt_hours, stage.dollars)}"


def _sampling(found: SamplingPlan) -> str:
    counts = f"{found.samples:,} replies, to {found.most_samples:,} with all rounds; as many verdicts at most; "
    hours = "hours unknown: give --measured RUN, a run that has sampled"
    if found.hours is not None:
        hours = f"{found.hours:,.1f} to {found.most_hours:,.1f} hours at the rates of the measured run"
    return f"  samples  {counts}{short(found.tokens)} tokens at most; {hours}"


def _simulated(found: "Simulated") -> Iterator[str]:
    yield f"  counted  {gigabytes(found.peak)}: {_kinds(found.memory)}"
    large = {name: sent for name, sent in found.messages.items() if sent >= 1e6}
    yield f"  sends    each step: {', '.join(f'{name} {gigabytes(sent)}' for name, sent in large.items())}"


def _kinds(memory: dict[str, int]) -> str:
    return ", ".join(f"{kind} {gigabytes(size)}" for kind, size in memory.items())


def _cost(gpu_hours: float | None, kilowatt_hours: float | None, dollars: float | None) -> str:
    return f"{short(gpu_hours or 0)} GPU hours, {short(kilowatt_hours or 0)} kWh, ${short(dollars or 0)}"
