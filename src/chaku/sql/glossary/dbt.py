"""Reads dbt's manifest.json (descriptions of models) and semantic_manifest.json (semantic models and their metrics)."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chaku.errors import ChakuError
from chaku.files import read_json
from chaku.sql.glossary.check import STRANGE
from chaku.sql.glossary.file import ColumnEntry, Glossary, MetricEntry, TableEntry
from chaku.sql.glossary.imports import Imported
from chaku.sql.glossary.joins import find_column, find_table
from chaku.sql.schema.definition import Schema, Table

AGGREGATES = {
    "sum": "sum({})", "average": "avg({})", "min": "min({})", "max": "max({})", "count": "count({})",
    "count_distinct": "count(DISTINCT {})", "sum_boolean": "sum(CASE WHEN {} THEN 1 ELSE 0 END)",
    "median": "median({})",
}  # fmt: skip
DIMENSION = re.compile(r"\{\{\s*Dimension\(\s*['\"](\w+)['\"]\s*\)\s*\}\}")


class _Unusable(Exception):
    """Why a metric of dbt cannot become a metric of a glossary."""


@dataclass(frozen=True)
class _Measure:
    """A measure: its aggregate expression, and the semantic model that has it."""

    expression: str
    model: dict[str, Any]
    date: str


def from_dbt(path: Path, schema: Schema) -> Imported:
    """The descriptions, metrics and joins of a manifest of dbt. Raises ChakuError for a file of another form.

    Simple metrics and ratios of one semantic model become metrics. Cumulative, derived and conversion metrics are
    left out, and so are filters that use another model.
    """
    manifest = read_json(path)
    if not isinstance(manifest, dict) or not {"nodes", "semantic_models"} & manifest.keys():
        raise ChakuError(f"{path} is neither dbt's manifest.json nor its semantic_manifest.json")
    found = Imported(Glossary())
    try:
        for node in [*_all(manifest.get("nodes")), *_all(manifest.get("sources"))]:
            if node.get("resource_type", "source") in ("model", "source", "seed", "snapshot"):
                _describe(found, schema, node)
        models = _all(manifest.get("semantic_models"))
        joins = _joins(models, schema)
        found.glossary = Glossary(found.glossary.tables, found.glossary.metrics, tuple(joins))
        measures = _measures(models)
        for metric in _all(manifest.get("metrics")):
            try:
                found.glossary.metrics[_words(metric["name"])] = _metric(metric, measures, schema)
            except _Unusable as reason:
                found.left_out.append(f"metric {metric['name']}: {reason}")
    except (KeyError, TypeError, AttributeError) as error:
        raise ChakuError(f"{path} is not in the form of dbt's manifests: {error!r} is missing or wrong") from error
    return found


def _all(entries: Any) -> list[dict[str, Any]]:
    """The entries of manifest.json, which are a table by id, or of semantic_manifest.json, which are a list."""
    return list(entries.values()) if isinstance(entries, dict) else list(entries or ())


def _words(name: str) -> str:
    return name.replace("_", " ")


def _describe(found: Imported, schema: Schema, node: dict[str, Any]) -> None:
    name = node.get("alias") or node.get("identifier") or node["name"]
    table = _table(schema, name, node.get("schema", ""))
    described = {key: about.get("description", "") for key, about in (node.get("columns") or {}).items()}
    if table is None:
        if node.get("description") or any(described.values()):
            found.left_out.append(f"model {name}: the database has no such table")
        return
    columns = {
        column: ColumnEntry(description=text)
        for key, text in described.items()
        if text and (column := find_column(table, key))
    }
    if node.get("description") or columns:
        found.glossary.tables[table.name] = TableEntry(description=node.get("description") or "", columns=columns)


def _table(schema: Schema, name: str, namespace: str) -> Table | None:
    return find_table(schema, f"{namespace}.{name}") or find_table(schema, name)


def _model_table(model: dict[str, Any], schema: Schema) -> Table:
    relation = model.get("node_relation") or {}
    name = relation.get("alias") or model["name"]
    table = _table(schema, name, relation.get("schema_name") or "")
    if table is None:
        raise _Unusable(f"the database has no table {name}")
    return table


def _joins(models: list[dict[str, Any]], schema: Schema) -> list[str]:
    """The joins that entities tell: a foreign entity of a model is the primary entity of another."""
    primary: dict[str, tuple[str, str]] = {}
    foreign: list[tuple[str, str, str]] = []
    for model in models:
        try:
            table = _model_table(model, schema)
        except _Unusable:
            continue
        for entity in model.get("entities") or ():
            column = find_column(table, entity.get("expr") or entity["name"])
            if column and entity["type"] in ("primary", "unique"):
                primary[entity["name"]] = table.name, column
            elif column and entity["type"] == "foreign":
                foreign.append((entity["name"], table.name, column))
    joins = [(child, column, *primary[name]) for name, child, column in foreign if name in primary]
    return [f"{child}.{column} = {parent}.{key}" for child, column, parent, key in joins if child != parent]


def _measures(models: list[dict[str, Any]]) -> dict[str, _Measure]:
    measures = {}
    for model in models:
        times = {one["name"]: one.get("expr") or one["name"] for one in model.get("dimensions") or ()}
        usual = (model.get("defaults") or {}).get("agg_time_dimension")
        for measure in model.get("measures") or ():
            form = AGGREGATES.get(measure["agg"])
            if form:
                date = times.get(measure.get("agg_time_dimension") or usual, "")
                expression = form.format(measure.get("expr") or measure["name"])
                measures[measure["name"]] = _Measure(expression, model, date)
    return measures


def _metric(metric: dict[str, Any], measures: dict[str, _Measure], schema: Schema) -> MetricEntry:
    parts, kind = metric["type_params"], metric["type"]
    if kind == "simple":
        measure, filters = _used(parts["measure"], measures)
        expression = measure.expression
    elif kind == "ratio":
        upper, lower = parts["numerator"], parts["denominator"]
        (measure, filters), (other, more) = _used(upper, measures), _used(lower, measures)
        if other.model is not measure.model or filters or more:
            raise _Unusable("its parts have filters, or are of two models")
        expression = f"1.0 * {measure.expression} / nullif({other.expression}, 0)"
    else:
        raise _Unusable(f"{kind} metrics cannot be taken over")
    table = _model_table(measure.model, schema)
    filters = [*filters, *_templates(metric.get("filter"))]
    condition = " AND ".join(f"({_filled(template, measure.model)})" for template in filters)
    label = metric.get("label") or ""
    synonyms = (label,) if label and label != _words(metric["name"]) and not STRANGE.search(label) else ()
    return MetricEntry(expression, table.name, condition, measure.date, synonyms, metric.get("description") or "")


def _used(part: Any, measures: dict[str, _Measure]) -> tuple[_Measure, list[str]]:
    """A measure that a metric uses, with its filters."""
    name = part if isinstance(part, str) else part["name"]
    if name not in measures:
        raise _Unusable(f"{name} is no measure that can be taken over")
    return measures[name], [] if isinstance(part, str) else _templates(part.get("filter"))


def _templates(filters: Any) -> list[str]:
    return [one["where_sql_template"] for one in (filters or {}).get("where_filters") or ()]


def _filled(template: str, model: dict[str, Any]) -> str:
    """A filter with the columns of its dimensions. Raises _Unusable for other templates."""
    dimensions = {one["name"]: one.get("expr") or one["name"] for one in model.get("dimensions") or ()}
    own = {entity["name"] for entity in model.get("entities") or () if entity["type"] == "primary"}
    own |= {model.get("primary_entity") or ""}

    def column(match: re.Match[str]) -> str:
        entity, _, name = match[1].rpartition("__")
        if name not in dimensions or (entity and entity not in own):
            raise _Unusable(f"its filter uses {match[1]}, which is no dimension of {model['name']}")
        return str(dimensions[name])

    filled = DIMENSION.sub(column, template)
    if "{{" in filled or "{%" in filled:
        raise _Unusable(f"its filter is {template!r}")
    return filled
