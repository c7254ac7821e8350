"""The report's parts on the corpus, with the dropped documents, and on the time of every step."""

from typing import Any

from chaku.report.charts import swatch
from chaku.report.html import Html, element, join
from chaku.report.run import ReportedRun, mapping, number, records
from chaku.report.table import Row, Text, Total, bar, count, duration, percent, size, table, whole

KINDS = {"code": "code", "code_prose": "prose about code", "prose": "prose", "piece": "pieces of code files"}


def corpus_section(run: ReportedRun) -> Html:
    """The kept documents by language and kind, the dropped by reason, and what was replaced in the kept."""
    kept, dropped = records(run.summary.get("kept")), records(run.summary.get("dropped"))
    if not kept and not dropped:
        return element("p", "No corpus was built.", class_="absent")
    samples = mapping(run.summary.get("samples"))
    note = "Documents and bytes (UTF-8) after cleaning. Held out: drawn by the hash of the text, and never trained on."
    parts = [_kept(kept), element("p", note, class_="note")]
    parts += [element("h3", "What was dropped"), _dropped(dropped, kept, samples)]
    checked = number(run.summary.get("checked_problems"))
    if checked is not None:
        against = f"{whole(checked)} problems of benchmarks" if checked else "no benchmark: no file of one was there"
        parts.append(element("p", f"Checked against {against}."))
    if replaced := records(run.summary.get("replaced")):
        parts += [element("h3", "Secrets and personal data that were replaced"), _replaced(replaced)]
    return join(parts)


def _replaced(replaced: list[dict[str, Any]]) -> Html:
    rows: list[list[object]] = [
        [str(entry.get("what", "")), *(whole(number(entry.get(name)) or 0.0) for name in ("documents", "places"))]
        for entry in replaced
    ]
    return table(["kind", "documents", "places"], rows)


def _kept(kept: list[dict[str, Any]]) -> Html:
    by_language: dict[tuple[str, str], dict[str, float]] = {}
    for entry in kept:
        row = by_language.setdefault((str(entry.get("kind")), str(entry.get("language"))), {})
        split = "heldout" if entry.get("split") == "heldout" else "train"
        for name in ("documents", "bytes"):
            row[f"{split}_{name}"] = row.get(f"{split}_{name}", 0.0) + (number(entry.get(name)) or 0.0)
    kinds = list(KINDS) + sorted({kind for kind, _ in by_language} - set(KINDS))
    bytes_of = {key: row.get("train_bytes", 0.0) + row.get("heldout_bytes", 0.0) for key, row in by_language.items()}
    total, largest = sum(bytes_of.values()) or 1.0, max(bytes_of.values(), default=0.0) or 1.0
    rows: list[Row] = []
    for key in sorted(by_language, key=lambda key: (kinds.index(key[0]), -bytes_of[key], key)):
        row = by_language[key]
        rows.append(
            [
                key[1],
                element("span", swatch(kinds.index(key[0])), KINDS.get(key[0], key[0]), class_="key"),
                whole(row.get("train_documents", 0)),
                size(row.get("train_bytes", 0)),
                whole(row.get("heldout_documents", 0)),
                size(row.get("heldout_bytes", 0)),
                percent(bytes_of[key] / total),
                bar([(bytes_of[key], kinds.index(key[0]))], largest),
            ]
        )
    sums = {name: sum(row.get(name, 0.0) for row in by_language.values()) for name in _COLUMNS}
    totals = [whole(sums[n]) if n.endswith("documents") else size(sums[n]) for n in _COLUMNS]
    rows.append(Total(["all", "", *totals, "100%", ""]))
    columns: list[str | Text] = ["language", Text("kind"), "documents", "text", "held out", "text", "share", Text("")]
    return table(columns, rows)


_COLUMNS = ("train_documents", "train_bytes", "heldout_documents", "heldout_bytes")


def _dropped(dropped: list[dict[str, Any]], kept: list[dict[str, Any]], samples: dict[str, Any]) -> Html:
    if not dropped:
        return element("p", "Nothing was dropped.", class_="absent")
    reasons: dict[str, dict[str, Any]] = {}
    for entry in dropped:
        row = reasons.setdefault(str(entry.get("reason")), {"documents": 0.0, "bytes": 0.0, "languages": {}})
        documents = number(entry.get("documents")) or 0.0
        row["documents"] += documents
        row["bytes"] += number(entry.get("bytes")) or 0.0
        language = entry.get("language")
        if language:
            row["languages"][str(language)] = row["languages"].get(str(language), 0.0) + documents
    seen = sum(row["documents"] for row in reasons.values()) + sum(number(e.get("documents")) or 0.0 for e in kept)
    rows = []
    for reason, row in sorted(reasons.items(), key=lambda item: -item[1]["documents"]):
        top = sorted(row["languages"].items(), key=lambda item: -item[1])
        languages = ", ".join(f"{name} {count(documents)}" for name, documents in top[:4])
        languages += f", {len(top) - 4} more" if len(top) > 4 else ""
        share = percent(row["documents"] / seen) if seen else None
        such = "; ".join(_sample(sample) for sample in records(samples.get(reason)))
        rows.append([reason.replace("_", " "), whole(row["documents"]), share, size(row["bytes"]), languages, such])
    columns: list[str | Text] = ["reason", "documents", "share of all", "text", Text("main languages"), Text("such as")]
    return table(columns, rows)


def _sample(sample: dict[str, Any]) -> str:
    detail = sample.get("detail")
    return f"{sample.get('path', '')} ({detail})" if detail else str(sample.get("path", ""))


def timings_section(run: ReportedRun) -> Html:
    """Time and throughput of every step of the run."""
    rows: list[Row] = []
    timed = [(entry, number(entry.get("seconds"))) for entry in run.timings]
    total = sum(seconds for _, seconds in timed if seconds) or 1.0
    largest = max((seconds for _, seconds in timed if seconds), default=1.0)
    for entry, seconds in timed:
        items, unit = number(entry.get("items")), str(entry.get("unit") or "items")
        rows.append(
            [
                str(entry.get("name", "")),
                duration(seconds),
                percent(seconds / total, 0) if seconds is not None else None,
                bar([(seconds or 0.0, 0)], largest),
                (size(items) if unit == "bytes" else f"{count(items)} {unit}") if items else "–",
                _rate(items, seconds, unit),
            ]
        )
    if not rows:
        return element("p", "No step was timed.", class_="absent")
    rows.append(Total(["all", duration(total), "100%", "", "", ""]))
    note = "By the clock, from the start of each step to its end."
    shown = table(["step", "time", "share", Text(""), Text("work"), Text("rate")], rows)
    return join([shown, element("p", note, class_="note")])


def _rate(items: float | None, seconds: float | None, unit: str) -> str:
    if not items or not seconds:
        return "–"
    if items < seconds:
        return f"{duration(seconds / items)} each"
    return f"{size(items / seconds)}/s" if unit == "bytes" else f"{count(items / seconds)} {unit}/s"
