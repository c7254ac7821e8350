"""The plan of a corpus as lines of text: its steps, and the parts that do not scale."""

from chaku.console import short, table_in_text
from chaku.pipeline.corpus_plan import BUILD, LIST, PACK, CorpusPlan, StepPlan

_HELP = {
    LIST: " for the paths of all files; rows in Parquet files take a path a Parquet file",
    BUILD: " for the paths and hashes of all files; several corpora, each built with the earlier ones as --against, "
    "take a part each",
    PACK: " for the lengths and kinds of all documents; each training process needs as much, and maps the plan",
}


def in_lines(plan: CorpusPlan) -> list[str]:
    """The steps, the sums, what does not scale, and the assumptions."""
    about = f"{short(plan.files)} files, {short(plan.documents)} documents, {short(plan.tokens)} tokens"
    rows = [
        ("step", "CPU hours of tasks", "hours of one process", "hours in all", "memory", "disk"),
        *(_row(step) for step in plan.steps),
    ]
    disk = sum(step.disk for step in plan.steps)
    return [
        f"a corpus of {short(plan.bytes)}B on {plan.workers} cores: {about}",
        "",
        *table_in_text(rows).splitlines(),
        "",
        f"all steps: {_hours(plan.hours)} hours, {short(disk)}B of disk, ${short(plan.dollars)}",
        f"more than {plan.useful_workers:,} cores help little: the work of one process then takes most of the time",
        "",
        "what does not scale, since one process does it:",
        *(f"  {line}" for line in limits(plan)),
        "",
        "assumptions:",
        f"  measured on this machine: {plan.sample}, on one core; every figure grows with the bytes",
        f"  a file has {short(plan.bytes / plan.files)}B, as in the sample; smaller files are more to list and admit",
        "  storage that all machines share gives each core what it reads; nothing waits for a network",
        f"  an hour of a core costs ${plan.core_price:g}, and all cores are paid until the last step ends",
    ]


def limits(plan: CorpusPlan) -> list[str]:
    """What the leading process of each step does alone, the longest first, and what helps."""
    lines = []
    for step in sorted(plan.steps, key=lambda step: -step.alone):
        needs = [f"{_hours(step.alone)} hours"] + ([f"{short(step.memory)}B of memory"] if step.memory else [])
        lines.append(f"{step.name}: {' and '.join(needs)}{_HELP.get(step.name, '')}")
    return lines


def _row(step: StepPlan) -> tuple[str, ...]:
    sizes = (f"{short(size)}B" if size else "" for size in (step.memory, step.disk))
    return (step.name, _hours(step.shared) if step.shared else "", _hours(step.alone), _hours(step.hours), *sizes)


def _hours(hours: float) -> str:
    return f"{hours:,.0f}" if hours >= 10 else f"{hours:.2g}"
