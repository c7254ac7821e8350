"""The cost that a server estimates for a query, from its EXPLAIN, and the refusal of a query that costs too much.

PostgreSQL, MySQL 8, MariaDB 11 and BigQuery estimate a cost. Its unit is the server's own: about one page read from
disk in PostgreSQL (`seq_page_cost` = 1) and one random read in MySQL; MariaDB 11 estimates milliseconds. BigQuery has
no EXPLAIN: its dry run tells the bytes that a query would read, and costs nothing. The other engines estimate none.
"""

import json
from collections.abc import Callable, Iterator
from typing import Any

from chaku.errors import ChakuError
from chaku.sql.engines.known import ENGINES
from chaku.sql.execute.runner import Result
from chaku.sql.schema.definition import Dialect


def check_max_cost(max_cost: float | None, dialect: Dialect) -> None:
    """Raises ChakuError for a limit that is no cost, and for an engine that estimates none."""
    if max_cost is None:
        return
    if not max_cost > 0:
        raise ChakuError(f"--max-cost is {max_cost:g}; it must be above 0")
    if not ENGINES[dialect].estimates:
        raise ChakuError(
            "--max-cost needs the estimate of a server (PostgreSQL, MySQL, MariaDB or BigQuery), and "
            f"{ENGINES[dialect].title} gives none; limit the seconds of a query with --timeout"
        )


def too_costly(sql: str, dialect: Dialect, max_cost: float, explain: Callable[[str], Result]) -> Result | None:
    """The refusal of a checked query whose estimate is above `max_cost`; None if it may run.

    `explain`: runs an EXPLAIN. A query that the server cannot explain fails with the server's message. A server without
    an estimate (MariaDB before 11) refuses all queries, since the limit cannot hold.
    """
    explained = explain(f"{ENGINES[dialect].explain} {sql}".strip())
    if not explained.ok:
        return explained
    cost = cost_of(explained.rows[0][0], dialect)
    if cost is None:
        return Result("refused", "not run: this server estimates no cost; leave out --max-cost, or use MariaDB 11")
    if cost > max_cost:
        reason = (
            f"not run: the server estimates a cost of {cost:,.0f}, and --max-cost allows {max_cost:,.0f}; "
            "ask about fewer rows"
        )
        return Result("refused", reason)
    return None


def cost_of(plan: str, dialect: Dialect) -> float | None:
    """The estimate in the JSON of an EXPLAIN, subqueries included; None without an estimate."""
    tree = json.loads(plan)
    if path := ENGINES[dialect].cost_at:
        for key in path:
            tree = tree[key]
        return float(tree)
    costs = list(_block_costs(tree))
    return sum(costs) if costs else None


def _block_costs(node: Any) -> Iterator[float]:
    """The costs of all query blocks in a plan of MySQL (`cost_info`) or MariaDB (`cost`)."""
    if isinstance(node, list):
        for part in node:
            yield from _block_costs(part)
    elif isinstance(node, dict):
        for key, part in node.items():
            if key == "query_block" and isinstance(part, dict):
                said = part.get("cost_info", {}).get("query_cost", part.get("cost"))
                if said is not None:
                    yield float(said)
            yield from _block_costs(part)
