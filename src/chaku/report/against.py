"""Two runs on one page: what differs in their recipes, their scores, their losses, their time."""

from pathlib import Path

from chaku.errors import ChakuError
from chaku.files import read_json, write_text
from chaku.report.charts import Line, line_chart, smooth, thin
from chaku.report.differences import ScorePair, different_settings, score_pairs
from chaku.report.document import document
from chaku.report.html import Html, element, join
from chaku.report.run import ReportedRun, Stage, number, read_run
from chaku.report.table import Text, count, duration, fixed, percent, table
from chaku.report.training import heldout_curves, last_loss

TITLES = {
    "bits_per_byte": "held-out text",
    "infilling": "infilling",
    "perplexity": "long context",
    "shop": "text-to-SQL",
}


def write_comparison(one: Path, other: Path) -> Path:
    """Write OTHER/compare-with-ONE.html and return its path. Differences are `other` minus `one`.

    Raises ChakuError when one of the two is not a run's directory, or when both are the same.
    """
    one, other = Path(one), Path(other)
    if one.resolve() == other.resolve():
        raise ChakuError(f"{one} and {other} are the same run; name two")
    page = render(read_run(one), read_run(other))
    path = other / f"compare-with-{one.resolve().name}.html"
    write_text(path, page)
    return path


def render(one: ReportedRun, other: ReportedRun) -> str:
    """The whole page."""
    names = _names(one, other)
    pairs = score_pairs(one, other)
    top = [element("p", _lead(pairs, names), class_="lead"), *(_problems(run) for run in (one, other))]
    sections = [
        ("scores", "Scores", _scores(pairs, names)),
        ("settings", "What differs in the recipes", _settings(one, other, names)),
        ("curves", "Loss", _curves(one, other, names)),
        ("stages", "Stages", _stages(one, other, names)),
    ]
    return document(f"{names[1]} against {names[0]}", top, sections)


def _names(one: ReportedRun, other: ReportedRun) -> tuple[str, str]:
    """The names of both directories, with their parents' where they are the same."""
    first, second = one.directory.resolve(), other.directory.resolve()
    if first.name != second.name:
        return first.name, second.name
    return f"{first.parent.name}/{first.name}", f"{second.parent.name}/{second.name}"


def _lead(pairs: list[ScorePair], names: tuple[str, str]) -> str:
    sure = [pair for pair in pairs if pair.interval and not pair.interval[0] <= 0 <= pair.interval[1]]
    better = sum((pair.other - pair.one) * pair.better > 0 for pair in sure)
    known = sum(pair.interval is not None for pair in pairs)
    if not pairs:
        return "The runs have no score in common."
    text = f"{len(pairs)} figures are in both runs. "
    if not known:
        return f"{text}None has samples to compare problem by problem, so no interval of a difference is known."
    return (
        f"{text}Of the {known} with samples, {names[1]} is better in {better} and worse in {len(sure) - better} "
        "by more than chance (95% intervals without zero)."
    )


def _scores(pairs: list[ScorePair], names: tuple[str, str]) -> Html:
    if not pairs:
        return element("p", "Nothing to compare: the runs share no benchmark on stages of one name.", class_="absent")
    rows = []
    for pair in sorted(pairs, key=_surprise):
        show = percent if pair.is_share else fixed
        gain = pair.other - pair.one
        shown = f"{100 * gain:+.1f} points" if pair.is_share else f"{gain:+.3f}"
        better = gain * pair.better > 0
        word = element("b", " better" if better else " worse", class_="good" if better else "bad") if gain else None
        interval = f"{100 * pair.interval[0]:+.1f} to {100 * pair.interval[1]:+.1f}" if pair.interval else None
        rows.append(
            [
                TITLES.get(pair.benchmark, pair.benchmark),
                pair.figure,
                pair.stage,
                show(pair.one),
                show(pair.other),
                element("td", shown, word) if gain else "the same",
                interval,
            ]
        )
    columns: list[str | Text] = ["measure", Text("figure"), Text("stage"), *names, "difference", "95% interval"]
    note = (
        "Difference: the second run minus the first. Intervals: paired bootstrap over the problems that both runs "
        "answered, in points; figures without samples have none, and their differences may be chance."
    )
    unlike = [
        element("li", f"{TITLES.get(pair.benchmark, pair.benchmark)}, {pair.stage}: {'; '.join(pair.unlike)}")
        for pair in pairs
        if pair.unlike
    ]
    warning = element("div", "Measured differently in the two runs:", element("ul", unlike), class_="warning")
    return join([table(columns, rows), element("p", note, class_="note"), warning if unlike else None])


def _surprise(pair: ScorePair) -> tuple[bool, bool]:
    """The order of rows: first differences beyond chance, then other differences, then equal figures."""
    sure = pair.interval is not None and not pair.interval[0] <= 0 <= pair.interval[1]
    return not sure, pair.one == pair.other


def _settings(one: ReportedRun, other: ReportedRun, names: tuple[str, str]) -> Html:
    recipes = [read_json(run.directory / "recipe.json") for run in (one, other)]
    rows = [[element("code", key), first, second] for key, first, second in different_settings(*recipes)]
    if not rows:
        return element("p", "Nothing: both runs have the same recipe.", class_="absent")
    note = "– : the recipe has no such key. Every other setting is the same in both."
    shown = table(["key", Text(names[0]), Text(names[1])], rows)
    return join([shown, element("p", note, class_="note")])


def _shared(one: ReportedRun, other: ReportedRun) -> list[tuple[Stage, Stage]]:
    by_name = {stage.name: stage for stage in other.stages}
    return [(stage, by_name[stage.name]) for stage in one.stages if stage.name in by_name]


def _curves(one: ReportedRun, other: ReportedRun, names: tuple[str, str]) -> Html:
    charts = []
    for pair in _shared(one, other):
        stages = list(zip(names, pair, strict=True))
        losses = [Line(name, index, _losses(stage)) for index, (name, stage) in enumerate(stages)]
        charts.append(_chart(f"{pair[0].name}: training loss", losses))
        curves = [heldout_curves(stage, 0.0, "heldout_loss") for stage in pair]
        for kept in curves[0].keys() & curves[1].keys():
            lines = [Line(name, index, curves[index][kept]) for index, name in enumerate(names)]
            charts.append(_chart(f"{pair[0].name}: held-out loss, {kept}", lines))
    if not charts:
        return element("p", "No stage of one name is in both runs.", class_="absent")
    note = (
        "Compare training losses where both stages train on the same mixture, and held-out losses where both have the "
        "same text held out."
    )
    return join([element("div", charts, class_="pair"), element("p", note, class_="note")])


def _losses(stage: Stage) -> list[tuple[float, float]]:
    points = [(number(line.get("tokens")) or 0.0, float(line["loss"])) for line in stage.steps]
    return thin(smooth(points, max(1, len(points) // 40)))


def _chart(title: str, lines: list[Line]) -> Html:
    return line_chart(
        lines, title=title, x_label="tokens of this stage", y_label="nats per token, log scale", log_y=True, small=True
    )


def _stages(one: ReportedRun, other: ReportedRun, names: tuple[str, str]) -> Html:
    rows = []
    for pair in _shared(one, other):
        for name, stage in zip(names, pair, strict=True):
            seconds = stage.seconds
            speed = count(stage.tokens / seconds) if seconds and stage.tokens else None
            cells = [count(stage.tokens or None), duration(seconds), speed, fixed(last_loss(stage))]
            rows.append([stage.name, name, stage.status, *cells])
    alone = [
        f"{stage.name} (only in {name})"
        for run, name, there in ((one, names[0], other), (other, names[1], one))
        for stage in run.stages
        if stage.name not in {found.name for found in there.stages}
    ]
    parts = (
        [table(["stage", Text("run"), Text("status"), "tokens", "time", "tokens/s", "last loss"], rows)] if rows else []
    )
    note = (
        "Time by the clock: compare it between runs on the same machine that did nothing else. Last loss: mean of the "
        "last tenth of the steps."
    )
    parts.append(element("p", note, class_="note"))
    if alone:
        parts.append(element("p", f"Not compared: {', '.join(alone)}."))
    return join(parts)


def _problems(run: ReportedRun) -> Html | None:
    if not run.problems:
        return None
    items = [element("li", problem) for problem in run.problems]
    return element("div", f"Parts of {run.directory} could not be read:", element("ul", items), class_="warning")
