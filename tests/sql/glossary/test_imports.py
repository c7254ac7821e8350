"""Words from CSV files, comments and dbt's manifests, in the forms that dbt 1.9 writes."""

import json
from dataclasses import replace

import pytest

from chaku import ChakuError
from chaku.sql.glossary.check import check_glossary
from chaku.sql.glossary.dbt import from_dbt
from chaku.sql.glossary.file import ColumnEntry, Glossary, MetricEntry, TableEntry
from chaku.sql.glossary.imports import from_comments, from_csv, merge
from chaku.sql.glossary.rules import Rules
from chaku.sql.schema.values import ValueIndex
from sql.glossary.rulebooks import TODAY

MANIFEST = {
    "metadata": {"dbt_schema_version": "https://schemas.getdbt.com/dbt/manifest/v12.json"},
    "nodes": {
        "model.shop.purchase": {
            "resource_type": "model", "name": "purchase", "alias": "purchase", "schema": "main",
            "description": "One row for each order.",
            "columns": {"amount": {"name": "amount", "description": "In euros."},
                        "gone": {"name": "gone", "description": "x"}},
        },
        "model.shop.other": {
            "resource_type": "model", "name": "other", "alias": "other", "description": "x", "columns": {},
        },
        "test.shop.unique": {"resource_type": "test", "name": "customer", "description": "a test", "columns": {}},
    },
    "sources": {"source.shop.raw.customer": {
        "resource_type": "source", "name": "customer", "identifier": "customer", "description": "Who buys.",
        "columns": {},
    }},
}  # fmt: skip


def relation(alias):
    return {"alias": alias, "schema_name": "main", "database": "shop", "relation_name": f'"shop"."main"."{alias}"'}


def simple(name, measure, **more):
    return {
        "name": name, "description": "", "type": "simple", "label": None, "filter": None,
        "type_params": {"measure": {"name": measure, "filter": None, "alias": None}, "input_measures": []}, **more,
    }  # fmt: skip


def where(template):
    return {"where_filters": [{"where_sql_template": template}]}


SEMANTIC = {
    "semantic_models": [
        {
            "name": "orders", "node_relation": relation("purchase"), "primary_entity": None,
            "defaults": {"agg_time_dimension": "ordered_at"},
            "entities": [{"name": "order_id", "type": "primary", "expr": "id"},
                         {"name": "customer", "type": "foreign", "expr": "customer_id"}],
            "dimensions": [{"name": "ordered_at", "type": "time", "expr": "day",
                            "type_params": {"time_granularity": "day"}},
                           {"name": "state", "type": "categorical", "expr": "status"}],
            "measures": [{"name": "order_total", "agg": "sum", "expr": "amount"},
                         {"name": "order_count", "agg": "sum", "expr": "1"},
                         {"name": "returned", "agg": "sum_boolean", "expr": "status = 'returned'"},
                         {"name": "p90", "agg": "percentile", "expr": "amount"}],
        },
        {
            "name": "customers", "node_relation": relation("customer"), "defaults": None,
            "entities": [{"name": "customer", "type": "primary", "expr": "id"}],
            "dimensions": [], "measures": [{"name": "buyers", "agg": "count_distinct", "expr": "id"}],
        },
    ],
    "metrics": [
        simple("paid_revenue", "order_total", label="Money in", description="Paid orders.",
               filter=where("{{ Dimension('order_id__state') }} = 'paid'")),
        simple("buyer_count", "buyers"),
        simple("p90_amount", "p90"),
        simple("far_filter", "order_total", filter=where("{{ Dimension('customer__country') }} = 'Peru'")),
        simple("timed", "order_total", filter=where("{{ TimeDimension('order_id__ordered_at', 'day') }} > '2023'")),
        {"name": "return_share", "type": "ratio", "label": "Return share", "filter": None, "description": "",
         "type_params": {"numerator": {"name": "returned", "filter": None}, "denominator": {"name": "order_count"}}},
        {"name": "running", "type": "cumulative", "filter": None, "type_params": {"measure": {"name": "order_total"}}},
    ],
}  # fmt: skip


@pytest.fixture
def dbt(tmp_path, shop_schema):
    def one(manifest):
        path = tmp_path / "manifest.json"
        path.write_text(json.dumps(manifest))
        return from_dbt(path, shop_schema)

    return one


def test_dbts_descriptions_become_descriptions(dbt):
    found = dbt(MANIFEST)
    assert found.glossary.tables == {
        "purchase": TableEntry(
            description="One row for each order.", columns={"amount": ColumnEntry(description="In euros.")}
        ),
        "customer": TableEntry(description="Who buys."),
    }
    assert found.left_out == ["model other: the database has no such table"]


def test_dbts_metrics_become_metrics_and_its_entities_joins(dbt, shop_schema):
    found = dbt(SEMANTIC)
    assert found.glossary.metrics == {
        "paid revenue": MetricEntry(
            "sum(amount)", "purchase", "(status = 'paid')", "day", ("Money in",), "Paid orders.",
        ),
        "buyer count": MetricEntry("count(DISTINCT id)", "customer"),
        "return share": MetricEntry(
            "1.0 * sum(CASE WHEN status = 'returned' THEN 1 ELSE 0 END) / nullif(sum(1), 0)", "purchase", "", "day",
            ("Return share",),
        ),
    }  # fmt: skip
    assert found.glossary.joins == ("purchase.customer_id = customer.id",)
    assert [reason.split(":")[0] for reason in found.left_out] == [
        "metric p90_amount", "metric far_filter", "metric timed", "metric running",
    ]  # fmt: skip
    merged = merge(Glossary(), found, shop_schema)
    assert check_glossary(merged.glossary, shop_schema) == []
    rules = Rules(merged.glossary, shop_schema, ValueIndex())
    answer = rules.answer("paid revenue by customer country in 2023", TODAY["shop"])
    assert "SUM(purchase.amount) AS paid_revenue" in answer.sql


def test_manifest_json_has_the_same_metrics_by_id(dbt):
    by_id = {key: {f"id {one['name']}": one for one in SEMANTIC[key]} for key in ("semantic_models", "metrics")}
    assert dbt({**MANIFEST, **by_id}).glossary.metrics == dbt(SEMANTIC).glossary.metrics


@pytest.mark.parametrize("manifest", [[], {"a": 1}, {"nodes": {"x": {"resource_type": "model"}}}, {"nodes": [3]}])
def test_other_files_are_no_manifests(dbt, manifest):
    with pytest.raises(ChakuError, match="manifest"):
        dbt(manifest)


def test_a_csv_file_describes_tables_columns_and_metrics(tmp_path, shop_schema):
    path = tmp_path / "words.csv"
    path.write_text(
        "Name,Meaning,synonyms,table,expression,filter\n"
        'purchase,"An order, paid or not",order; Bestellung\n'
        "purchase.status,Where it stands\n"
        "revenue,Money,Umsatz,purchase,sum(amount),status = 'paid'\n"
        "purchase.statis,x\n"
        "bad,x,,purchase,sum(amount); DROP TABLE item\n",
        encoding="utf-8",
    )
    merged = merge(Glossary(), from_csv(path, shop_schema), shop_schema)
    entry = merged.glossary.tables["purchase"]
    assert (entry.description, entry.synonyms) == ("An order, paid or not", ("order", "Bestellung"))
    assert entry.columns["status"].description == "Where it stands"
    assert merged.glossary.metrics == {
        "revenue": MetricEntry("sum(amount)", "purchase", "status = 'paid'", "", ("Umsatz",), "Money")
    }
    assert len(merged.left_out) == 2
    assert "the nearest is purchase.status" in merged.left_out[0]
    path.write_text("term,text\n")
    with pytest.raises(ChakuError, match="needs the columns name and meaning"):
        from_csv(path, shop_schema)


def test_an_import_keeps_what_the_glossary_says(shop_schema, shop_words):
    table = next(table for table in shop_schema.tables if table.name == "purchase")
    tables = (replace(table, comment="new", columns=(replace(table.columns[1], comment="who"),)),)
    merged = merge(shop_words, from_comments(replace(shop_schema, tables=tables)), shop_schema).glossary
    assert merged.tables["purchase"].description == "An order of a customer."
    assert merged.tables["purchase"].columns["customer_id"].description == "who"
    assert merged.tables["purchase"].columns["status"] == shop_words.tables["purchase"].columns["status"]
    assert merged.metrics == shop_words.metrics
