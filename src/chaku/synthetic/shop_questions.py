"""Generate questions about the shop from query templates with several wordings, in English and some in Chinese.

A template (`Shape`) is filled with every table, column and relation that fits, and with values from the database. Some
shapes are held out for dev: no training query has their structure (the query without names and values). The last
English wording of every other shape is held out too.
"""

import itertools
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from string import Formatter

from chaku.sql.execute.lexer import tokenize
from chaku.sql.schema.definition import literal, open_sqlite


@dataclass(frozen=True)
class ShopExample:
    """A question and its query. `unseen`: the part of a dev question that is not in train, "structure" or "wording"."""

    question: str
    query: str
    structure: str
    unseen: str = ""


@dataclass(frozen=True)
class Entity:
    """A table's names. `numbers`, `kinds`: its numeric and text columns, with their English and Chinese names."""

    table: str
    many: str
    chinese: str
    label: str = "name"
    numbers: dict[str, tuple[str, str]] = field(default_factory=dict)
    kinds: dict[str, tuple[str, str]] = field(default_factory=dict)


ENTITIES = (
    Entity("product", "products", "产品", numbers={"price": ("price", "价格"), "weight": ("weight", "重量")},
           kinds={"color": ("color", "颜色")}),
    Entity("customer", "customers", "客户", numbers={"age": ("age", "年龄")},
           kinds={"city": ("city", "城市"), "country": ("country", "国家")}),
    Entity("employee", "employees", "员工", numbers={"salary": ("salary", "工资")},
           kinds={"job": ("job", "职位"), "city": ("city", "城市")}),
    Entity("supplier", "suppliers", "供应商", numbers={"rating": ("rating", "评级")},
           kinds={"country": ("country", "国家")}),
    Entity("warehouse", "warehouses", "仓库", label="city", numbers={"capacity": ("capacity", "容量")},
           kinds={"country": ("country", "国家")}),
    Entity("purchase", "purchases", "订单", label="id", numbers={"amount": ("amount", "金额")},
           kinds={"status": ("status", "状态")}),
    Entity("payment", "payments", "付款", label="id", numbers={"amount": ("amount", "金额")},
           kinds={"method": ("method", "方式")}),
    Entity("shipment", "shipments", "发货", label="id", numbers={"cost": ("cost", "费用")},
           kinds={"carrier": ("carrier", "承运商")}),
)  # fmt: skip
_BY_TABLE = {entity.table: entity for entity in ENTITIES}


@dataclass(frozen=True)
class Relation:
    """A foreign key: `child` has the column PARENT_id. `of` joins the two in words: products FROM THE SUPPLIER Jade."""

    child: str
    many: str
    chinese: str
    parent: str
    parents: str
    of: str
    label: str = "name"
    number: str = ""


RELATIONS = (
    Relation("product", "products", "产品", "category", "categories", "in the category", number="price"),
    Relation("product", "products", "产品", "supplier", "suppliers", "from the supplier", number="price"),
    Relation("purchase", "purchases", "订单", "customer", "customers", "of the customer", number="amount"),
    Relation("purchase", "purchases", "订单", "employee", "employees", "handled by the employee", number="amount"),
    Relation("review", "reviews", "评论", "product", "products", "of the product", number="stars"),
    Relation("review", "reviews", "评论", "customer", "customers", "by the customer", number="stars"),
    Relation("stock", "stock entries", "库存", "warehouse", "warehouses", "in the warehouse of", "city", "quantity"),
    Relation("item", "items", "明细", "product", "products", "for the product", number="quantity"),
)
_CHINESE = {"category": "类别", "supplier": "供应商", "customer": "客户", "employee": "员工", "product": "产品",
            "warehouse": "仓库"}  # fmt: skip


@dataclass(frozen=True)
class Shape:
    """A query template with placeholders, and its wordings. `about`: "entity", "relation" or "relation with id"."""

    query: str
    wordings: tuple[str, ...]
    chinese: tuple[str, ...] = ()
    about: str = "entity"
    held_out: bool = False


SHAPES = (
    Shape("SELECT {label} FROM {table} WHERE {number} > {value}", (
        "Which {many} have a {number_name} above {value}?",
        "List the {label} of {many} whose {number_name} is more than {value}.",
        "Show {many} with {number_name} greater than {value}.",
        "Give the {label} of every one of the {many} with a {number_name} over {value}."),
        ("{number_zh}大于{value}的{zh}有哪些？",)),
    Shape("SELECT {label} FROM {table} WHERE {number} < {value}", (
        "Which {many} have a {number_name} below {value}?",
        "List the {label} of {many} whose {number_name} is less than {value}.",
        "Show {many} with {number_name} under {value}.")),
    Shape("SELECT {label} FROM {table} WHERE {number} BETWEEN {low} AND {high}", (
        "Which {many} have a {number_name} between {low} and {high}?",
        "List {many} with {number_name} from {low} to {high}.",
        "Show the {label} of {many} whose {number_name} lies between {low} and {high}.")),
    Shape("SELECT {label} FROM {table} WHERE {kind} = {text}", (
        "Which {many} have the {kind_name} {plain}?",
        "List the {label} of {many} with {kind_name} {plain}.",
        "Show all {many} whose {kind_name} is {plain}.",
        "What are the {many} with the {kind_name} {plain}?"),
        ("{kind_zh}为{plain}的{zh}有哪些？",)),
    Shape("SELECT count(*) FROM {table} WHERE {kind} = {text}", (
        "How many {many} have the {kind_name} {plain}?",
        "Count the {many} with {kind_name} {plain}.",
        "What is the number of {many} whose {kind_name} is {plain}?",
        "Number of {many} with the {kind_name} {plain}?"),
        ("{kind_zh}为{plain}的{zh}有多少？",)),
    Shape("SELECT count(*) FROM {table} WHERE {number} > {value}", (
        "How many {many} have a {number_name} above {value}?",
        "Count the {many} whose {number_name} is more than {value}.",
        "What is the number of {many} with {number_name} over {value}?"),
        ("{number_zh}大于{value}的{zh}有多少？",)),
    Shape("SELECT {aggregate}({number}) FROM {table} WHERE {kind} = {text}", (
        "What is the {aggregate_name} {number_name} of {many} with {kind_name} {plain}?",
        "Find the {aggregate_name} {number_name} of {many} whose {kind_name} is {plain}.",
        "Give the {aggregate_name} {number_name} for the {kind_name} {plain} among the {many}."),
        ("{kind_zh}为{plain}的{zh}的{aggregate_zh}{number_zh}是多少？",)),
    Shape("SELECT {aggregate}({number}) FROM {table}", (
        "What is the {aggregate_name} {number_name} of all {many}?",
        "Find the {aggregate_name} {number_name} of the {many}.",
        "Tell me the {aggregate_name} {number_name} over all {many}.")),
    Shape("SELECT {label} FROM {table} ORDER BY {number} {direction} LIMIT {few}", (
        "Which {few} {many} have the {direction_name} {number_name}?",
        "List the {few} {many} with the {direction_name} {number_name}.",
        "Show the {label} of the {few} {many} of {direction_name} {number_name}."),
        ("{number_zh}{direction_zh}的{few}个{zh}是哪些？",)),
    Shape("SELECT {label} FROM {table} WHERE {kind} = {text} ORDER BY {number} {direction} LIMIT 1", (
        "Which of the {many} with {kind_name} {plain} has the {direction_name} {number_name}?",
        "Find the {label} of the {many} with the {direction_name} {number_name} whose {kind_name} is {plain}.",
        "Among {many} with {kind_name} {plain}, which has the {direction_name} {number_name}?")),
    Shape("SELECT {label} FROM {table} WHERE {kind} = {text} ORDER BY {number} {direction}", (
        "List the {many} with {kind_name} {plain} by {number_name}, {direction_name} first.",
        "Sort the {many} whose {kind_name} is {plain} by {number_name}, the {direction_name} first.",
        "Show {many} of {kind_name} {plain}, ordered by {number_name} from the {direction_name}."), held_out=True),
    Shape("SELECT {kind}, count(*) FROM {table} GROUP BY {kind}", (
        "How many {many} are there for each {kind_name}?",
        "Count the {many} by {kind_name}.",
        "Show each {kind_name} with its number of {many}."),
        ("每个{kind_zh}有多少{zh}？",)),
    Shape("SELECT {kind}, {aggregate}({number}) FROM {table} GROUP BY {kind}", (
        "What is the {aggregate_name} {number_name} of {many} for each {kind_name}?",
        "Show the {aggregate_name} {number_name} of the {many} by {kind_name}.",
        "For every {kind_name}, give the {aggregate_name} {number_name} of its {many}."),
        ("每个{kind_zh}的{zh}的{aggregate_zh}{number_zh}是多少？",)),
    Shape("SELECT {kind}, count(*) FROM {table} WHERE {number} > {value} GROUP BY {kind}", (
        "For each {kind_name}, how many {many} have a {number_name} above {value}?",
        "Count the {many} with {number_name} over {value} by {kind_name}.",
        "By {kind_name}, how many {many} have more than {value} as {number_name}?"), held_out=True),
    Shape("SELECT {kind} FROM {table} GROUP BY {kind} HAVING count(*) > {few}", (
        "Which {kind_name} has more than {few} {many}?",
        "List every {kind_name} with more than {few} {many}.",
        "For which {kind_name} are there over {few} {many}?")),
    Shape("SELECT {kind} FROM {table} GROUP BY {kind} HAVING {aggregate}({number}) > {value}", (
        "For which {kind_name} is the {aggregate_name} {number_name} of {many} above {value}?",
        "List every {kind_name} whose {many} have a {aggregate_name} {number_name} over {value}.",
        "Which {kind_name} has {many} with a {aggregate_name} {number_name} of more than {value}?"), held_out=True),
    Shape("SELECT {label} FROM {table} WHERE {number} > (SELECT avg({number}) FROM {table}) AND {kind} = {text}", (
        "Which {many} with {kind_name} {plain} have a {number_name} above the average?",
        "List {many} of {kind_name} {plain} whose {number_name} is higher than the average of all.",
        "Show the {many} with {kind_name} {plain} and more than the average {number_name}.")),
    Shape("SELECT count(*) FROM {table} WHERE {number} < (SELECT avg({number}) FROM {table})", (
        "How many {many} have a {number_name} below the average?",
        "Count the {many} whose {number_name} is less than the average.",
        "What is the number of {many} under the average {number_name}?"), held_out=True),
    Shape("SELECT {label} FROM {table} WHERE {kind} = {text} AND {number} > {value}", (
        "Which {many} with {kind_name} {plain} have a {number_name} above {value}?",
        "List {many} whose {kind_name} is {plain} and whose {number_name} is more than {value}.",
        "Show the {label} of {many} with the {kind_name} {plain} and a {number_name} over {value}.")),
    Shape("SELECT {label} FROM {table} WHERE {kind} = {text} OR {kind} = {other}", (
        "Which {many} have the {kind_name} {plain} or {plain_other}?",
        "List {many} whose {kind_name} is {plain} or {plain_other}.",
        "Show {many} with {kind_name} {plain} or {plain_other}.")),
    Shape("SELECT count(*) FROM {table} WHERE {kind} != {text}", (
        "How many {many} do not have the {kind_name} {plain}?",
        "Count the {many} whose {kind_name} is not {plain}.",
        "What is the number of {many} with another {kind_name} than {plain}?")),
    Shape("SELECT {child}.id FROM {child} JOIN {parent} ON {child}.{parent}_id = {parent}.id"
          " WHERE {parent}.{label} = {text}", (
        "List the {many} {of} {plain}.",
        "Show the ids of the {many} {of} {plain}.",
        "Which {many} are {of} {plain}?"), about="relation with id"),
    Shape("SELECT count(*) FROM {child} JOIN {parent} ON {child}.{parent}_id = {parent}.id"
          " WHERE {parent}.{label} = {text}", (
        "How many {many} are there {of} {plain}?",
        "Count the {many} {of} {plain}.",
        "What is the number of {many} {of} {plain}?"),
        ("{parent_zh}{plain}有多少{zh}？",), about="relation"),
    Shape("SELECT {aggregate}({child}.{number}) FROM {child} JOIN {parent} ON {child}.{parent}_id = {parent}.id"
          " WHERE {parent}.{label} = {text}", (
        "What is the {aggregate_name} {number} of the {many} {of} {plain}?",
        "Find the {aggregate_name} {number} of {many} {of} {plain}.",
        "Give the {aggregate_name} {number} over all {many} {of} {plain}."), about="relation"),
    Shape("SELECT {parent}.{label}, count(*) FROM {child} JOIN {parent} ON {child}.{parent}_id = {parent}.id"
          " WHERE {child}.{number} > {value} GROUP BY {parent}.{label}", (
        "How many {many} with a {number} above {value} does each {parent} have?",
        "Count the {many} with more than {value} as {number} for every {parent}.",
        "For each {parent}, show the number of {many} whose {number} is over {value}."), about="relation"),
    Shape("SELECT {parent}.{label} FROM {child} JOIN {parent} ON {child}.{parent}_id = {parent}.id"
          " GROUP BY {parent}.{label} HAVING count(*) > {few}", (
        "Which {parents} have more than {few} {many}?",
        "List the {parents} with more than {few} {many}.",
        "Show each {parent} that has over {few} {many}."), about="relation"),
    Shape("SELECT {parent}.{label} FROM {child} JOIN {parent} ON {child}.{parent}_id = {parent}.id"
          " GROUP BY {parent}.{label} ORDER BY count(*) DESC LIMIT {few}", (
        "Which {few} {parents} have the most {many}?",
        "List the {few} {parents} with the largest number of {many}.",
        "Show the top {few} {parents} by number of {many}."),
        ("{zh}最多的{few}个{parent_zh}是哪些？",), about="relation"),
    Shape("SELECT {parent}.{label} FROM {child} JOIN {parent} ON {child}.{parent}_id = {parent}.id"
          " GROUP BY {parent}.{label} ORDER BY {aggregate}({child}.{number}) DESC LIMIT {few}", (
        "Which {few} {parents} have the highest {aggregate_name} {number} of {many}?",
        "List the {few} {parents} whose {many} have the largest {aggregate_name} {number}.",
        "Show the top {few} {parents} by {aggregate_name} {number} of their {many}."), about="relation", held_out=True),
    Shape("SELECT {label} FROM {parent} WHERE id NOT IN (SELECT {parent}_id FROM {child} WHERE {number} > {value})", (
        "Which {parents} have no {many} with a {number} above {value}?",
        "List the {parents} without {many} of more than {value} as {number}.",
        "Show {parents} that have never had {many} with {number} over {value}."), about="relation"),
)  # fmt: skip

_AGGREGATES = {
    "avg": ("average", "平均"),
    "max": ("maximum", "最大"),
    "min": ("minimum", "最小"),
    "sum": ("total", "总"),
}
_SUMMED = ("price", "weight", "amount", "cost", "capacity", "quantity")  # columns with a meaningful sum
_DIRECTIONS = {"DESC": ("highest", "最高"), "ASC": ("lowest", "最低")}


def structure(query: str) -> str:
    """The query without its names and values; queries with the same result have the same structure."""
    words = []
    for token in tokenize(query):
        if token.kind in ("string", "number", "quoted"):
            words.append("value")
        elif token.kind == "word" and token.text.lower() not in _KEYWORDS:
            words.append("name")
        elif token.kind != "space":
            words.append(token.text.lower())
    return " ".join(words).replace("name . name", "name")


_KEYWORDS = frozenset(
    """
    select from where group by having order limit join on and or not in between count avg max min sum desc asc
    """.split()  # noqa: SIM905
)


def make_examples(
    database: Path, *, seed: int, num_train: int, num_dev: int, chinese: bool = True
) -> tuple[list[ShopExample], list[ShopExample]]:
    """(train, dev), in random order. No question appears twice, and no query of dev is in train.

    Every query has run on `database` and has a result. `chinese`: some questions are in Chinese.
    """
    draw = Random(f"questions {seed}")
    held_out = {structure for shape in SHAPES if shape.held_out for structure in _structures(shape)}
    parts: dict[str, str] = {}  # query -> its part, so that no query is in both train and dev
    with closing(open_sqlite(database)) as connection:
        asked: set[str] = set()
        pools: dict[str, list[ShopExample]] = {"": [], "structure": [], "wording": []}
        for shape in SHAPES:
            filled = list(_fill(shape, connection, draw))
            draw.shuffle(filled)
            for places in filled:
                query = shape.query.format(**places)
                if not _has_rows(connection, query):
                    continue
                part = "structure" if structure(query) in held_out else parts.setdefault(query, _part(draw))
                for wording in _wordings(shape, part, draw, chinese):
                    question = wording.format(**places)
                    if question not in asked:
                        asked.add(question)
                        pools[part].append(ShopExample(question, query, structure(query), part))
    train = _spread(pools[""], num_train, draw)
    dev = _spread(pools["structure"], num_dev * 2 // 5, draw)
    dev += _spread(pools["wording"], num_dev - len(dev), draw)
    draw.shuffle(train)
    draw.shuffle(dev)
    return train, dev


def _spread(pool: list[ShopExample], number: int, draw: Random) -> list[ShopExample]:
    """`number` examples, spread as evenly over the structures as the pool allows."""
    by_structure: dict[str, list[ShopExample]] = {}
    for example in pool:
        by_structure.setdefault(example.structure, []).append(example)
    for group in by_structure.values():
        draw.shuffle(group)
    turns = itertools.zip_longest(*by_structure.values())
    return [example for turn in turns for example in turn if example is not None][:number]


WORDING_SHARE = 0.12  # the share of queries that only dev has, with the held-out wordings


def _part(draw: Random) -> str:
    return "wording" if draw.random() < WORDING_SHARE else ""


def _structures(shape: Shape) -> set[str]:
    """The structures of a shape's queries, for all aggregates and directions."""
    places = {place: "name" for _, place, _, _ in Formatter().parse(shape.query) if place}
    places |= {place: "1" for place in ("value", "low", "high", "few", "text", "other") if place in places}
    return {
        structure(shape.query.format(**{**places, "aggregate": aggregate, "direction": direction}))
        for aggregate in _AGGREGATES
        for direction in _DIRECTIONS
    }


def _wordings(shape: Shape, part: str, draw: Random, chinese: bool) -> Iterator[str]:
    """An English wording for a filled shape, and sometimes a Chinese one; for "wording", only the held-out wording."""
    *trained, last = shape.wordings
    if part == "wording":
        yield last
        return
    yield draw.choice(shape.wordings if part else trained)
    if chinese and shape.chinese and draw.random() < 0.15:
        yield draw.choice(shape.chinese)


def _has_rows(connection: sqlite3.Connection, query: str) -> bool:
    row = connection.execute(query).fetchone()
    return row is not None and row != (0,) and row[0] is not None


def _fill(shape: Shape, connection: sqlite3.Connection, draw: Random) -> Iterator[dict[str, object]]:
    """The placeholders' values: all tables and columns that fit the shape, each with `NUM_DRAWS` draws of values."""
    if shape.about == "entity":
        for entity in ENTITIES:
            for (number, (number_name, number_zh)), (kind, (kind_name, kind_zh)) in itertools.product(
                entity.numbers.items(), entity.kinds.items()
            ):
                places: dict[str, object] = {
                    "table": entity.table, "many": entity.many, "zh": entity.chinese, "label": entity.label,
                    "number": number, "number_name": number_name, "number_zh": number_zh,
                    "kind": kind, "kind_name": kind_name, "kind_zh": kind_zh,
                }  # fmt: skip
                numbers = _values(connection, entity.table, number)
                yield from _draws(places, numbers, _values(connection, entity.table, kind), draw)
        return
    for relation in RELATIONS:
        if shape.about == "relation with id" and relation.child not in _BY_TABLE and relation.child != "review":
            continue
        places = {
            "child": relation.child, "parent": relation.parent, "many": relation.many, "parents": relation.parents,
            "zh": relation.chinese, "parent_zh": _CHINESE[relation.parent], "of": relation.of,
            "label": relation.label, "number": relation.number,
        }  # fmt: skip
        numbers = _values(connection, relation.child, relation.number)
        yield from _draws(places, numbers, _values(connection, relation.parent, relation.label), draw)


NUM_DRAWS = 72  # draws of values for the same tables and columns


def _draws(
    places: dict[str, object], numbers: list[object], kinds: list[object], draw: Random
) -> Iterator[dict[str, object]]:
    for _ in range(NUM_DRAWS):
        low, high = sorted(draw.sample(range(len(numbers)), 2))
        first, other = draw.sample(kinds, 2)
        aggregates = [aggregate for aggregate in _AGGREGATES if aggregate != "sum" or places["number"] in _SUMMED]
        aggregate, direction = draw.choice(aggregates), draw.choice(list(_DIRECTIONS))
        yield {
            **places,
            "value": _round(draw.choice(numbers)), "low": _round(numbers[low]), "high": _round(numbers[high]),
            "text": literal(first), "plain": first, "other": literal(other), "plain_other": other,
            "few": draw.randint(2, 9),
            **_in_words("aggregate", aggregate, _AGGREGATES), **_in_words("direction", direction, _DIRECTIONS),
        }  # fmt: skip


def _in_words(place: str, chosen: str, words: dict[str, tuple[str, str]]) -> dict[str, str]:
    english, chinese = words[chosen]
    return {place: chosen, f"{place}_name": english, f"{place}_zh": chinese}


def _round(number: object) -> int:
    return round(float(str(number)))


def _values(connection: sqlite3.Connection, table: str, column: str) -> list[object]:
    return [row[0] for row in connection.execute(f"SELECT DISTINCT {column} FROM {table} ORDER BY {column}")]
