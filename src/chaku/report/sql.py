"""The report's part on text-to-SQL: execution accuracy before and after training, and some questions with their SQL."""

from typing import Any

from chaku.report.html import Html, element, join
from chaku.report.run import ReportedRun, mapping, records
from chaku.report.table import percent, table, whole


def shop_answers(run: ReportedRun, results: dict[str, dict[str, Any]]) -> Html:
    """A table with a row for every measured stage, and samples of the last stage."""
    unseen = sorted({name for result in results.values() for name in mapping(result.get("by_unseen"))})
    rows = []
    for name, result in results.items():
        parts = [mapping(mapping(result.get("by_unseen")).get(kind)).get("ex") for kind in unseen]
        counts = mapping(result.get("counts"))
        both = [percent(result.get("ex")), percent(result.get("test_suite"))]
        cells = [*both, *map(percent, parts), whole(counts.get("failed"))]
        rows.append([name, *cells, whole(counts.get("scored"))])
    named = [f"unseen {kind}" for kind in unseen]
    columns = ["stage", "execution accuracy", "on variants too", *named, "fail to run", "questions"]
    note = (
        "Execution accuracy: the share of questions whose SQL returns the same rows as the right SQL (Spider's rule). "
        "On variants too: it also does on 20 variants of the database, where wrong SQL is not right by luck. "
        "Code Llama 7B with LoRA reaches about 66% on Spider's own questions."
    )
    last = list(results)[-1]
    samples = [_sample(record) for record in records(results[last].get("samples"))]
    shown = element(
        "details", element("summary", f"{last}: its first right answers, and its first wrong ones"), samples, open=""
    )
    return join([table(columns, rows), element("p", note, class_="note"), shown if samples else None])


def _sample(sample: dict[str, Any]) -> Html:
    right = sample.get("right") and sample.get("on_variants", True)
    said = "✓ right" if right else "✗ right by luck" if sample.get("right") else "✗ wrong"
    sign = element("b", said, class_="good" if right else "bad")
    header = [element("span", str(sample.get("question", ""))), sign]
    lines = [str(sample.get("sql", "")) or "(nothing)"]
    if not right:
        lines.append(f"right: {sample.get('gold', '')}")
        lines += [f"why: {sample['reason']}"] if sample.get("reason") else []
    columns, rows = map(str, sample.get("columns") or ()), sample.get("rows")
    found = table(list(columns), [list(map(str, row)) for row in rows]) if rows else None
    body = element("pre", element("code", element("mark", lines[0]), "".join(f"\n{line}" for line in lines[1:])))
    return element("article", element("header", header), body, found, class_="sample")
