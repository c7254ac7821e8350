"""The report's part on evaluation: a table for every benchmark, with the paper's numbers if it has any."""

from collections.abc import Callable
from typing import Any

from chaku.report import paper
from chaku.report.achieved import how_anchor
from chaku.report.charts import Line, line_chart
from chaku.report.html import Html, element, join
from chaku.report.run import ReportedRun, mapping, number, numbers, records
from chaku.report.samples import infill_examples, program_samples
from chaku.report.sql import shop_answers
from chaku.report.table import Published, Row, Text, Total, count, fixed, heat_cell, size, table, whole

PAPER_NOTE = (
    "Rows marked “paper” are the published numbers of a model with 7 billion parameters, trained on 500 billion tokens "
    "of code. They show the scale of each measure; a small run is not expected to reach them."
)


def results_section(run: ReportedRun) -> Html:
    """A part for every benchmark with results, and the names of the other benchmarks."""
    parts: list[Html | None] = [element("p", PAPER_NOTE, class_="note")]
    measures: list[tuple[str, str, Callable[[ReportedRun, dict[str, dict[str, Any]]], Html]]] = [
        ("bits_per_byte", "Held-out text: bits per byte", _bits_per_byte),
        ("infilling", "Infilling: one hidden line", _infilling),
        ("perplexity", "Long context: perplexity by position", _perplexity),
        ("key_retrieval", "Long context: key retrieval", _key_retrieval),
    ]
    if "shop" in run.measures:
        measures.append(("shop", "Text-to-SQL: questions about a shop's database", shop_answers))
    sections = [
        (benchmark, title, show(run, results) if (results := run.measured(benchmark)) else None)
        for benchmark, title, show in measures
    ]
    titles = {"first_steps": "First steps", "humaneval": "HumanEval"}
    sections += [
        (benchmark, f"{titles.get(benchmark, benchmark)}: programs that pass their tests", _programs(run, benchmark))
        for benchmark in {**titles, **run.scores}
    ]
    not_run = []
    for benchmark, title, shown in sections:
        if shown is not None:
            parts += [element("h3", title), shown, _how_measured(run, benchmark)]
        else:
            not_run.append(title)
    if not_run:
        parts.append(element("p", f"Not run: {'; '.join(not_run)}.", class_="absent"))
    return join(parts)


def _bits_per_byte(run: ReportedRun, results: dict[str, dict[str, Any]]) -> Html:
    by_stage = {stage: mapping(result.get("by_language")) for stage, result in results.items()}
    overall = {stage: mapping(result.get("overall")) for stage, result in results.items()}
    languages: dict[str, dict[str, Any]] = {}
    for tables in by_stage.values():
        for language, facts in tables.items():
            languages.setdefault(language, mapping(facts))
    ordered = sorted(languages, key=lambda name: -(number(languages[name].get("bytes")) or 0))

    def cells_of(label: str, facts: dict[str, Any], of: dict[str, dict[str, Any]]) -> list[object]:
        values = {stage: number(of[stage].get("bits_per_byte")) for stage in results}
        best = min((value for value in values.values() if value is not None), default=None)
        cells = [element("td", fixed(value), class_="best" if value == best else None) for value in values.values()]
        return [label, size(facts.get("bytes")), fixed(facts.get("xz_bits_per_byte")), *cells]

    rows: list[Row] = [
        cells_of(name, languages[name], {s: mapping(t.get(name)) for s, t in by_stage.items()}) for name in ordered
    ]
    first = next((facts for facts in overall.values() if facts), {})
    rows.append(Total(cells_of("all", first, overall)))
    text = (
        "Lower is better; bold: the best stage. xz -9 compresses the same bytes. No stage was trained on held-out "
        "documents."
    )
    return join([table(["language", "text", "xz -9", *results], rows), element("p", text, class_="note")])


def _infilling(run: ReportedRun, results: dict[str, dict[str, Any]]) -> Html:
    modes = ("psm", "spm", "left_to_right")
    rows: list[Row] = []
    for stage, result in results.items():
        shares = [number(mapping(result.get(mode)).get("exact_match")) for mode in modes]
        rows.append([stage, whole(result.get("num_examples")), *(heat_cell(share) for share in shares)])
    published = [f"{paper.INFILLING_PASS_AT_1[mode]:.1f}%" for mode in modes[:2]]
    rows.append(Published([f"paper: {paper.MODEL}, another measure*", "1,033", *published, None]))
    note = (
        "Share of hidden lines that the model writes exactly. Left to right: the same model sees only the text before "
        "the line. *Paper: HumanEval single-line infilling, pass@1 by running tests: every line that works counts."
    )
    columns = ["stage", "examples", "PSM", "SPM", "left to right"]
    shown = next((result for result in reversed(results.values()) if records(result.get("examples"))), None)
    parts = [table(columns, rows), element("p", note, class_="note")]
    if shown is not None:
        name = next(stage for stage, result in results.items() if result is shown)
        parts.append(infill_examples(name, records(shown.get("examples"))))
    return join(parts)


def _perplexity(run: ReportedRun, results: dict[str, dict[str, Any]]) -> Html:
    lines, marks, documents = [], {}, None
    index_of = {stage.name: index for index, stage in enumerate(run.stages)}
    for place, (stage, result) in enumerate(results.items()):
        values, edges = numbers(result.get("perplexity")), numbers(result.get("edges"))
        ends = edges[1:] if len(edges) == len(values) + 1 else edges
        points = [(x, y) for x, y in zip(ends, values, strict=False) if x is not None and y is not None]
        lines.append(Line(stage, index_of.get(stage, len(index_of) + place), points))
        if trained := number(result.get("training_length")):
            marks[trained] = f"trained to {trained:,.0f}"
        documents = number(result.get("documents")) or documents
    chart = line_chart(
        lines,
        title="Perplexity by position",
        x_label="position in the document, tokens (end of each bin)",
        y_label="log scale",
        log_x=True,
        log_y=True,
        marks=sorted(marks.items()),
    )
    text = f"{whole(documents)} long held-out documents. A curve that falls to its end uses all of its context."
    return join([chart, element("p", text, class_="note")])


def _key_retrieval(run: ReportedRun, results: dict[str, dict[str, Any]]) -> Html:
    tables: dict[tuple[tuple[str, ...], str], list[Row]] = {}
    for stage, result in results.items():
        positions = [f"{position:g}" for position in numbers(result.get("positions")) if position is not None]
        rows = tables.setdefault((tuple(positions), whole(result.get("num_examples"))), [])
        for index, length in enumerate(numbers(result.get("lengths"))):
            tables_of = (result.get("accuracy"), result.get("forced_accuracy"))
            cells = [heat_cell(share) for table in tables_of for share in _row(table, index, len(positions))]
            rows.append([stage, f"{whole(length)} tokens", *cells])
    parts = []
    for (at_positions, num_examples), rows in tables.items():
        columns = ["stage", "context", *(f"{way} {at}" for way in ("greedy", "ranked") for at in at_positions)]
        parts.append(table(columns, rows, f"This run: {num_examples} examples a cell"))
    columns = ["context", *(f"greedy {position:g}" for position in paper.KEY_RETRIEVAL_POSITIONS)]
    published = [
        Published([f"{length} tokens", *(f"{share:.1f}%" for share in shares)])
        for length, shares in zip(paper.KEY_RETRIEVAL_LENGTHS, paper.KEY_RETRIEVAL_ACCURACY, strict=True)
    ]
    parts.append(table(columns, published, f"Paper: {paper.MODEL}, 64 examples a cell"))
    note = (
        "A function that returns a two-digit number is hidden at a relative position in the context (0 is its start); "
        "the model completes a call to it. Greedy: greedy decoding writes the number. Ranked: the number has the "
        "highest probability of all two-digit numbers (chance: 1.1%)."
    )
    return join([*parts, element("p", note, class_="note")])


def _row(table_of: object, index: int, width: int) -> list[float | None]:
    row = table_of[index] if isinstance(table_of, list) and index < len(table_of) else []
    values = numbers(row)[:width]
    return values + [None] * (width - len(values))


def _programs(run: ReportedRun, benchmark: str) -> Html | None:
    results = run.scores.get(benchmark, {})
    if not results:
        return None
    rows: list[Row] = []
    for stage, result in results.items():
        verdicts = sorted(result.verdicts.items(), key=lambda item: -item[1])
        passed = f"{whole(result.num_passed)} of {whole(result.num_problems)}"
        counts = ", ".join(f"{count(amount)} {status.replace('_', ' ')}" for status, amount in verdicts)
        rows.append([stage, heat_cell(number(result.pass_at_k.get(1))), passed, counts])
    note = None
    if benchmark == "humaneval":
        note = element("p", "Greedy pass@1; each program runs in the sandbox.", class_="note")
        for model, share in paper.HUMANEVAL_PASS_AT_1.items():
            rows.append(Published([f"paper: {model}", f"{share:.1f}%", None, ""]))
    shown = program_samples({stage: result.samples for stage, result in results.items()})
    return join([table(["stage", "pass@1", "passed", Text("verdicts")], rows), shown, note])


def _how_measured(run: ReportedRun, benchmark: str) -> Html | None:
    """The manifests, in a closed box. A value that several stages share has one row."""
    results = {**run.measures.get(benchmark, {}), **run.scores.get(benchmark, {})}
    stages: dict[tuple[str, str], list[str]] = {}
    for stage, result in results.items():
        for key, value in result.manifest.items():
            stages.setdefault((key, str(value)), []).append(stage)
    rows = []
    for (key, value), names in sorted(stages.items(), key=lambda item: item[0][0]):
        of = "all" if len(names) == len(results) else ", ".join(names)
        rows.append([element("code", key), of, value])
    if not rows:
        return None
    shown = element("div", table(["", Text("stage"), Text("value")], rows), id=how_anchor(benchmark))
    return element("details", element("summary", "How it was measured"), shown)
