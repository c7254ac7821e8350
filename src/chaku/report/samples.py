"""The report's samples, with the text that a model wrote marked."""

from typing import Any

from chaku.report.charts import swatch
from chaku.report.html import Html, element, join
from chaku.report.run import ReportedRun, mapping
from chaku.report.table import whole
from chaku.results import ShownSample

MAX_EXAMPLES = 4
CONTEXT_LINES = 8  # lines of prefix, and of suffix, shown around an infilled line


def samples_section(run: ReportedRun) -> Html:
    """The run's samples, then the samples that the stages wrote during training."""
    colours = {stage.name: index for index, stage in enumerate(run.stages)}
    shown = []
    for sample in run.samples:
        infill = sample.get("kind") == "infill"
        mode = f"infilling, {str(sample.get('mode', '')).upper()}" if infill else "completion"
        name = str(sample.get("stage", ""))
        key = element("span", swatch(colours.get(name, 0)), name, class_="key")
        written = sample.get("middle") if infill else sample.get("text")
        parts = (sample.get("prefix", ""), written or "", sample.get("suffix") if infill else None)
        shown.append(_sample([key, element("span", mode)], *parts))
    if not shown:
        shown.append(element("p", "No samples were written.", class_="absent"))
    else:
        shown.insert(0, element("p", "The model wrote the ", element("mark", "marked"), " text.", class_="note"))
    for stage in run.stages:
        if stage.samples:
            along = [_while_training(line) for line in stage.samples]
            title = f"{stage.name}: {len(along)} sample{'s' * (len(along) != 1)} during its training"
            shown.append(element("details", element("summary", title), along))
    return join(shown)


def _while_training(line: dict[str, Any]) -> Html:
    sample = mapping(line["sample"])
    return _sample(
        [element("span", f"step {whole(line['step'])}")], sample.get("prompt", ""), sample.get("text", ""), None
    )


def _sample(header: list[Html], before: object, written: object, after: object) -> Html:
    code = element("code", str(before), element("mark", str(written)), None if after is None else str(after))
    return element("article", element("header", header), element("pre", code), class_="sample")


def infill_examples(stage: str, examples: list[dict[str, Any]]) -> Html:
    """Hidden lines in their context, with the model's line for every mode."""
    shown = []
    for example in examples[:MAX_EXAMPLES]:
        truth = str(example.get("middle", ""))
        before = "\n".join(str(example.get("prefix", "")).split("\n")[-CONTEXT_LINES:])
        after = "\n".join(str(example.get("suffix", "")).split("\n")[:CONTEXT_LINES])
        verdicts = []
        for mode, label in (("psm", "PSM"), ("spm", "SPM"), ("left_to_right", "left to right")):
            if isinstance(given := example.get(mode), str):
                right = given == truth
                sign = element("b", "✓ " if right else "✗ ", class_="good" if right else "bad")
                verdicts.append(element("span", sign, label, None if right else [": ", element("code", given[:200])]))
        shown.append(_sample(verdicts, before, truth, after))
    note = element("p", "The marked line was hidden. Above the text: the lines that the model wrote.", class_="note")
    title = f"{stage}: {len(shown)} of the hidden lines"
    return element("details", element("summary", title), note, shown)


def program_samples(samples: dict[str, tuple[ShownSample, ...]]) -> Html | None:
    """The first programs of every stage, with their verdicts."""
    shown = []
    for stage, programs in samples.items():
        for program in programs[:MAX_EXAMPLES]:
            header = [
                element("span", stage),
                element("span", program.task_id),
                element("b", program.verdict.replace("_", " "), class_="good" if program.passed else "bad"),
                element("span", program.reason[:200]),
            ]
            shown.append(_sample(header, program.prompt, program.completion, None))
    if not shown:
        return None
    return element("details", element("summary", f"{len(shown)} of the programs"), shown)
