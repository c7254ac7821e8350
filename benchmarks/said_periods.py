"""How often a model's query has the period that a question says, before and after the rule of `sql.ask.said_period`.

    chaku sql shop /tmp/shop && python benchmarks/said_periods.py qwen2.5-coder-0.5b-instruct /tmp/shop/shop/shop.sqlite

Fourteen questions in three languages, written with the rule, so they are no estimate for other people's questions.
"""

import argparse

from chaku import api
from chaku.sql.ask.asker import Asker
from chaku.sql.execute.runner import Result

PURCHASES, CUSTOMERS = "SELECT count(*) FROM purchase WHERE day ", "SELECT count(*) FROM customer WHERE joined "
QUESTIONS = {
    "How many purchases were there in 2022?": f"{PURCHASES} LIKE '2022%'",
    "How many purchases were made in March 2023?": f"{PURCHASES} LIKE '2023-03%'",
    "How many customers joined in 2023?": f"{CUSTOMERS} LIKE '2023%'",
    "How many customers joined in May 2024?": f"{CUSTOMERS} LIKE '2024-05%'",
    "What is the total amount of purchases in 2024?": "SELECT sum(amount) FROM purchase WHERE day LIKE '2024%'",
    "How many purchases were there since 2024?": f"{PURCHASES} >= '2024-01-01'",
    "How many purchases were there in Q1 2023?": f"{PURCHASES} >= '2023-01-01' AND day < '2023-04-01'",
    "How many purchases were there by status in 2022?": (
        "SELECT status, count(*) FROM purchase WHERE day LIKE '2022%' GROUP BY status"
    ),
    "How many paid purchases were there in 2023?": f"{PURCHASES} LIKE '2023%' AND status = 'paid'",
    "Which customers joined in January 2022?": "SELECT name FROM customer WHERE joined LIKE '2022-01%'",
    "Wie viele Käufe gab es im Jahr 2022?": f"{PURCHASES} LIKE '2022%'",
    "Wie viele Kunden sind im März 2023 beigetreten?": f"{CUSTOMERS} LIKE '2023-03%'",
    "2022年有多少 purchase？": f"{PURCHASES} LIKE '2022%'",
    "2023年3月有多少 purchase？": f"{PURCHASES} LIKE '2023-03%'",
}


def main() -> None:
    """Print each query before and after the rule, and the numbers of right results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("database")
    given = parser.parse_args()
    before = after = 0
    with api.asker(given.database, lambda: api.load(given.model), num_samples=1) as asker:
        for question, gold in QUESTIONS.items():
            right = asker.run(gold)
            answer = asker.ask(question)
            written = answer.candidates[-1].written if answer.candidates else ""
            is_right = [equal(asker, sql, right) for sql in (written, answer.sql)]
            before, after = before + is_right[0], after + is_right[1]
            print(
                f"{question}\n  {is_right[0]}: {' '.join(written.split())}\n  {is_right[1]}: {answer.sql}", flush=True
            )
    print(f"right: {before} of {len(QUESTIONS)} as written, {after} after the rule")


def equal(asker: Asker, sql: str, right: Result) -> bool:
    """Whether a query has the right rows."""
    result = asker.run(sql) if sql else Result("failed")
    return result.ok and rows_of(result) == rows_of(right)


def rows_of(result: Result) -> list[str]:
    """The rows, in any order."""
    return sorted(map(repr, result.rows))


if __name__ == "__main__":
    main()
