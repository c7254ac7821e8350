"""The report's part on GRPO: the curves of each stage, its best, worst and longest samples, and the hacks it tried."""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from chaku.reinforcement.hacks import suspicion
from chaku.reinforcement.sample_journal import FOLDER
from chaku.report.charts import Line, line_chart, smooth, thin
from chaku.report.html import Html, element, join
from chaku.report.run import ReportedRun, Stage, mapping, number, records
from chaku.report.table import fixed, percent, table, whole
from chaku.training.grpo_config import PASS_AT

NUM_SHOWN = 10  # samples of each kind
LAST_STEPS = 10  # whose samples are shown
CURVES = (
    ("reward", "Reward of a sample", "mean over the step's samples"),
    ("solved", "Solved", "share of samples; pale: single steps"),
    ("gap", "Passes the shown tests only", "share of samples"),
    ("length", "Length", "tokens of a reply"),
    ("entropy", "Entropy", "nats, of the next token"),
    ("clip_share", "Clipped", "share of tokens outside of the ratio's range"),
    ("divergence", "Divergence from the first model", "nats per token"),
    ("dropped_share", "Groups of equal reward", "share of groups, dropped"),
)
HELD_OUT = (
    ("heldout_pass_rate", "Held-out tasks that the greedy reply solves"),
    ("heldout_pass_at_1", "Held-out tasks, sampled: pass@1"),
    (f"heldout_pass_at_{PASS_AT}", f"Held-out tasks, sampled: pass@{PASS_AT}"),
)


def rl_stages(run: ReportedRun) -> list[tuple[int, Stage]]:
    """The stages that trained with GRPO, with the index of their colour."""
    return [
        (index, stage)
        for index, stage in enumerate(run.stages)
        if any(number(line.get("reward")) is not None for line in stage.steps)
    ]


def reinforcement_section(run: ReportedRun) -> Html:
    """Curves, samples and hacks of every GRPO stage."""
    stages = rl_stages(run)
    charts = []
    for key, title, y_label in CURVES:
        lines = [
            Line(stage.name, index, thin(smooth(points, max(1, len(points) // 20))), thin(points))
            for index, stage in stages
            if (points := _points(stage.steps, key))
        ]
        if lines:
            charts.append(line_chart(lines, title=title, x_label="step", y_label=y_label, small=True))
    for key, title in reversed(HELD_OUT):
        held = [Line(stage.name, index, points) for index, stage in stages if (points := _held_out(stage, key))]
        if held:
            charts.insert(0, line_chart(held, title=title, x_label="step", y_label="share of tasks", small=True))
    parts: list[Html] = [element("div", charts, class_="pair"), _first_and_last(stages)]
    for _, stage in stages:
        parts += _samples(run.directory / "stages" / stage.name / FOLDER, stage.name)
    return join(parts)


def _points(lines: list[dict[str, Any]], key: str) -> list[tuple[float, float]]:
    return [(line["step"], value) for line in lines if (value := number(line.get(key))) is not None]


def _held_out(stage: Stage, key: str) -> list[tuple[float, float]]:
    found = []
    for line in stage.pass_rates:
        rates = [rate for value in mapping(line.get(key)).values() if (rate := number(value)) is not None]
        if rates:
            found.append((line["step"], sum(rates) / len(rates)))
    return found


def _first_and_last(stages: list[tuple[int, Stage]]) -> Html:
    """The means of the first and of the last tenth of the steps."""
    rows: list[list[object]] = []
    for _, stage in stages:
        size = max(1, len(stage.steps) // 10)
        for what, lines in (("first", stage.steps[:size]), ("last", stage.steps[-size:])):
            means = {
                key: sum(values) / len(values)
                for key, _, _ in CURVES
                if (values := [value for _, value in _points(lines, key)])
            }
            rows.append(
                [
                    f"{stage.name}, {what} steps",
                    fixed(means.get("reward")),
                    percent(means.get("solved")),
                    percent(means.get("gap")),
                    fixed(means.get("length"), 1),
                    fixed(means.get("entropy")),
                    percent(means.get("clip_share")),
                    fixed(means.get("divergence")),
                ]
            )
    columns = ["stage", "reward", "solved", "shown only", "length", "entropy", "clipped", "divergence"]
    return table(columns, rows)


def _samples(folder: Path, name: str) -> list[Html]:
    paths = sorted(folder.glob("step-*[0-9].jsonl"))
    samples = [sample for path in paths[-LAST_STEPS:] for sample in _read(path)]
    if not samples:
        return []
    by_reward = sorted(samples, key=lambda sample: -sample["reward"])
    longest = sorted(samples, key=lambda sample: -sample["length"])
    parts = [element("h3", f"{name}: the hacks that were tried"), *_hacks(paths)]
    parts.append(element("h3", f"{name}: {len(samples)} samples of the last {min(LAST_STEPS, len(paths))} steps"))
    for title, chosen in (("best", by_reward), ("worst", by_reward[::-1]), ("longest", longest)):
        shown = [_sample(sample) for sample in _different(chosen)]
        parts.append(element("details", element("summary", f"{name}: {len(shown)} of the {title} samples"), shown))
    return parts


def _hacks(paths: Sequence[Path]) -> list[Html]:
    """What samples of any step seem to try: how often, how often it was paid, and the latest such sample."""
    tried: Counter[str] = Counter()
    paid: Counter[str] = Counter()
    latest: dict[str, dict[str, Any]] = {}
    for path in paths:
        for sample in _read(path):
            if trick := sample["trick"]:
                tried[trick] += 1
                paid[trick] += sample["solved"]
                latest[trick] = sample
    if not tried:
        return [element("p", "No sample of any step looks like a hack.", class_="note")]
    rows: list[list[object]] = [[trick, whole(count), whole(paid[trick])] for trick, count in tried.most_common()]
    shown = [join([element("p", trick), _sample(latest[trick])]) for trick, _ in tried.most_common()]
    return [
        table(["what a sample seems to try", "samples", "of them solved"], rows),
        element("details", element("summary", "the latest sample of each hack"), shown),
    ]


def _different(samples: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The first NUM_SHOWN samples of different prompts."""
    found: dict[str, dict[str, Any]] = {}
    for sample in samples:
        if len(found) < NUM_SHOWN:
            found.setdefault(sample["prompt"], sample)
    return list(found.values())


def _read(path: Path) -> list[dict[str, Any]]:
    """The samples of a step's file. Skips what is not there."""
    found = []
    with path.open(encoding="utf-8") as file:
        next(file, None)
        for line in file:
            try:
                group = mapping(json.loads(line))
            except ValueError:
                continue
            pairs = zip(records(group.get("replies")), records(group.get("scored")), strict=False)
            for reply, scored in pairs:
                text, reason, solved = str(reply.get("text")), str(scored.get("reason")), bool(scored.get("solved"))
                found.append(
                    {
                        "prompt": str(group.get("prompt")),
                        "text": text,
                        "reason": reason,
                        "reward": number(scored.get("reward")) or 0.0,
                        "solved": solved,
                        "length": len(reply.get("ids") or ()),
                        "trick": suspicion(text, reason, scored.get("shown"), solved),
                    }
                )
    return found


def _sample(sample: dict[str, Any]) -> Html:
    header = [
        element("b", f"reward {sample['reward']:g}", class_="good" if sample["solved"] else "bad"),
        element("span", f"{sample['length']} tokens"),
        element("span", sample["reason"][:200]),
    ]
    code = element("code", sample["prompt"], "\n", element("mark", sample["text"]))
    return element("article", element("header", header), element("pre", code), class_="sample")
