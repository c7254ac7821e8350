"""The plan of a corpus as lines of text: its steps, and the parts that do not scale."""

from chaku.console import short, table_in_text
from chaku.pipeline.corpus_plan import CorpusPlan, StepPlan

LARGE_MEMORY = 64e9  # bytes of one process from which a plan names it
LONG = 24.0  # hours of one process from which a plan names it


def in_lines(plan: CorpusPlan) -> list[str]:
    """The steps, the sums, what does not scale, and the assumptions."""
    about = f"{short(plan.files)} files, {short(plan.documents)} documents, {short(plan.tokens)} tokens"
    rows = [("step", "CPU hours", "hours", "by", "memory", "disk"), *(_row(step, plan) for step in plan.steps)]
    disk = sum(step.disk for step in plan.steps)
    return [
        f"a corpus of {short(plan.bytes)}B on {plan.workers} cores: {about}",
        "",
        *table_in_text(rows).splitlines(),
        "",
        f"all steps: {_hours(plan.hours)} hours, {short(disk)}B of disk, ${short(plan.dollars)}",
        f"more than {plan.useful_workers:,} cores help little: the steps of one process then take most of the time",
        "",
        "what does not scale:",
        *(f"  {line}" for line in limits(plan)),
        "",
        "assumptions:",
        f"  measured on this machine: {plan.sample}, one core of it; every figure grows with the bytes",
        "  storage that all machines share gives each core what it reads; nothing waits for a network",
        f"  an hour of a core costs ${plan.core_price:g}, and all cores are paid until the last step ends",
    ]


def limits(plan: CorpusPlan) -> list[str]:
    """The steps that one process does, with what they need, and what to do about the large ones."""
    lines = []
    for step in plan.steps:
        if step.scales:
            continue
        needs = [f"{_hours(step.hours)} hours"] + ([f"{short(step.memory)}B of memory"] if step.memory else [])
        lines.append(f"{step.name}: one process, {' and '.join(needs)}")
    alone = [step for step in plan.steps if not step.scales]
    memory, hours = max(step.memory for step in alone), sum(step.hours for step in alone)
    if memory > LARGE_MEMORY or hours > LONG:
        parts = max(2, -(-int(memory) // int(LARGE_MEMORY)), -(-int(hours) // int(LONG)))
        lines.append(
            f"build {parts} corpora of {short(plan.bytes / parts)}B each, one after another, each with the earlier ones as "
            "--against: what they hold is dropped"
        )
    return lines


def _row(step: StepPlan, plan: CorpusPlan) -> tuple[str, ...]:
    by = f"{plan.workers} cores" if step.scales else "one process"
    sizes = (f"{short(size)}B" if size else "" for size in (step.memory, step.disk))
    return (step.name, _hours(step.cpu_hours), _hours(step.hours), by, *sizes)


def _hours(hours: float) -> str:
    return f"{hours:,.0f}" if hours >= 10 else f"{hours:.2g}"
