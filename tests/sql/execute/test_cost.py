"""The estimate in a server's EXPLAIN, and the refusal of a query above the limit. Real servers: test_database.py."""

import json

import pytest

pytest.importorskip("sqlglot", reason="needs the sql extra")

from chaku.sql.execute.cost import cost_of, too_costly
from chaku.sql.execute.runner import Result

POSTGRES = [{"Plan": {"Node Type": "Limit", "Total Cost": 21.5, "Plans": [{"Total Cost": 3000.0}]}}]
MYSQL = {  # MySQL 8: a query with a subquery in its SELECT
    "query_block": {
        "cost_info": {"query_cost": "10.25"},
        "table": {"cost_info": {"read_cost": "9.00"}},
        "select_list_subqueries": [{"query_block": {"cost_info": {"query_cost": "2.00"}}}],
    }
}
MYSQL_UNION = {
    "query_block": {
        "union_result": {
            "query_specifications": [
                {"query_block": {"cost_info": {"query_cost": "1.50"}}},
                {"query_block": {"cost_info": {"query_cost": "2.50"}}},
            ]
        }
    }
}
MARIADB = {"query_block": {"select_id": 1, "cost": 0.5, "nested_loop": [{"table": {"rows": 4, "cost": 0.4}}]}}
OLD_MARIADB = {"query_block": {"select_id": 1, "table": {"rows": 4}}}


@pytest.mark.parametrize(
    ("dialect", "plan", "cost"),
    [
        ("postgres", POSTGRES, 21.5),
        ("mysql", MYSQL, 12.25),
        ("mysql", MYSQL_UNION, 4.0),
        ("mysql", MARIADB, 0.5),
        ("mysql", OLD_MARIADB, None),
        ("bigquery", {"totalBytesProcessed": 5_000_000}, 5_000_000.0),
    ],
)
def test_the_cost_of_a_plan_counts_its_subqueries(dialect, plan, cost):
    assert cost_of(json.dumps(plan), dialect) == cost


def explained(plan):
    return Result("ok", "", ("plan",), [(json.dumps(plan),)])


def test_a_query_above_the_limit_is_refused_with_its_cost():
    sent = []
    plan = [{"Plan": {"Total Cost": 1234567.0}}]
    refusal = too_costly("SELECT 1", "postgres", 1000, lambda sql: sent.append(sql) or explained(plan))
    assert sent == ["EXPLAIN (FORMAT JSON) SELECT 1"]
    assert refusal.status == "refused"
    assert "the server estimates a cost of 1,234,567, and --max-cost allows 1,000" in refusal.reason
    assert too_costly("SELECT 1", "postgres", 1234567, lambda sql: explained(plan)) is None


def test_a_server_without_an_estimate_runs_nothing_under_a_limit():
    refusal = too_costly("SELECT 1", "mysql", 1000, lambda sql: explained(OLD_MARIADB))
    assert refusal.status == "refused"
    assert "estimates no cost" in refusal.reason


def test_a_query_that_cannot_be_explained_fails_with_the_servers_message():
    failure = Result("failed", "column x does not exist")
    assert too_costly("SELECT x", "postgres", 1000, lambda sql: failure) is failure
