"""How often a conversation asks a question back, on Spider's dev questions: `python benchmarks/ask_back.py`.

Needs $CHAKU_BENCHMARKS with `spider`; questions whose database is missing are left out and counted. No model is asked.
"""

import json
import os
from pathlib import Path

from chaku.sql.conversation.ties import tied_values
from chaku.sql.conversation.unclear import said_value
from chaku.sql.execute.database import Database
from chaku.sql.schema.knowledge import Knowledge


def main() -> None:
    spider = Path(os.environ["CHAKU_BENCHMARKS"]) / "spider"
    knowledge: dict[str, Knowledge] = {}
    num_questions = num_missing = num_asked = 0
    for row in json.loads((spider / "dev.json").read_text(encoding="utf-8")):
        name, question = row["db_id"], row["question"]
        path = spider / "database" / name / f"{name}.sqlite"
        if not path.exists():
            num_missing += 1
            continue
        if name not in knowledge:
            knowledge[name] = Knowledge(Database(str(path)))
        known = knowledge[name]
        num_questions += 1
        if tied := tied_values(question, known.values.find(question), known.schema):
            num_asked += 1
            print(f"{name}: {question} -> {' or '.join(map(said_value, tied))}")
    print(f"{num_asked} of {num_questions} questions ({num_asked / num_questions:.1%}); {num_missing} have no database")


if __name__ == "__main__":
    main()
