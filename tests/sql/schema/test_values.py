from dataclasses import replace

import pytest

from chaku.sql.execute.database import Database
from chaku.sql.schema.definition import Column, Table, read_sqlite
from chaku.sql.schema.introspect import introspect
from chaku.sql.schema.values import ValueIndex, distinct_in_one_query, distinct_values, text_columns
from chaku.sql.schema.words import normalize, stem
from shop_database import make_shop

VALUES = [
    "United Kingdom", "United States", "Germany", "São Paulo", "New York", "北京", "上海市", "Électronique",
    "Home & Garden", "Books", "男", "Trinidad and Tobago", "Maria Evans", "ＦＵＬＬ", "x" * 61, "12345", "",
]  # fmt: skip


@pytest.fixture(scope="module")
def index():
    index = ValueIndex()
    for value in VALUES:
        index.add("t", "c", value)
    index.add("other", "code", "UK")
    for value in (None, 3, 2.5, b"x"):
        index.add("t", "c", value)
    return index


FOUND = {
    "UK customers": ["UK"],
    "US customers": ["United States"],  # no value is called so, and it is written as a code
    "us customers": [],
    "customers from the united kingdom": ["United Kingdom"],
    "how many UNITED-KINGDOM orders": ["United Kingdom"],
    "unpaid keys of the shop": [],  # and not UK by their initials
    "sales in Grmany": ["Germany"],
    "sales in sao paulo": ["São Paulo"],
    "electronique sales": ["Électronique"],
    "home and garden products": ["Home & Garden"],
    "the best book of the year": ["Books"],
    "t t orders": [],
    "full": ["ＦＵＬＬ"],
    "北京的客户有多少": ["北京"],
    "上海有几个订单": ["上海市"],
    "男性客户": ["男"],
    "what is the weather": [],
    "tell me all": [],  # and not Maria Evans by her initials
    "order 12345": [],
    "": [],
}


@pytest.mark.parametrize("question", FOUND)
def test_a_question_finds_the_values_that_it_means(index, question):
    assert [match.value for match in index.find(question)] == FOUND[question]


def test_words_that_any_question_has_mean_a_value_only_where_they_are_spelt_like_it():
    index = ValueIndex()
    for value in ("ARE", "AN", "Han", "Most", "Wpfeffer Example Net"):
        index.add("t", "c", value)
    for question in ("What are the names?", "which are more than most", "How many went?", "are the names of airports"):
        assert index.find(question) == []
    assert [match.value for match in index.find("What is ARE?")] == ["ARE"]
    assert [match.value for match in index.find("Who is Han?")] == ["Han"]


@pytest.mark.parametrize(
    ("question", "values"),
    [
        ("Which language has each country?", []),  # 'Ha', 'EC'
        ("sales per product, and the area", []),  # 'SP', 'ARE'
        ("find the land", []),  # 'IND', 'AND'
        ("people from ARE and EC", ["ARE", "EC"]),
        ("all cats and dogs", ["cat", "dog"]),
        ("the ids of votes", []),  # 'ID'
    ],
)
def test_short_values_count_as_they_are_written(question, values):
    index = ValueIndex()
    for value in ("Ha", "EC", "SP", "ARE", "IND", "AND", "ID", "cat", "dog"):
        index.add("t", "c", value)
    assert sorted(match.value for match in index.find(question)) == values


def test_the_same_words_score_best_and_a_longer_phrase_hides_the_shorter_one_in_it(index):
    assert index.find("germany")[0].score == 1.0
    assert 0.5 < index.find("grmany")[0].score < 0.9
    index.add("t", "c", "York")
    assert [match.value for match in index.find("shops in new york")] == ["New York"]


def test_words_are_compared_without_case_accents_and_plurals():
    assert normalize("  São-Paulo_ＡＢ é ") == "sao paulo ab e"
    assert [stem(word) for word in ("countries", "boxes", "classes", "customers", "glass", "is")] == [
        "country", "box", "class", "customer", "glass", "is",
    ]  # fmt: skip


def test_columns_of_text_are_looked_up_and_what_holds_several_values_is_not():
    types = ["TEXT", "VARCHAR(9)", "ENUM('a')", ""]
    types += ["TEXT[]", "ENUM('a')[]", "STRUCT(a VARCHAR)", "MAP(VARCHAR, INT)", "INT"]
    table = Table("t", tuple(Column(str(number), kind) for number, kind in enumerate(types)))
    assert [column.type for column in text_columns(table)] == types[:4]


def test_an_index_reads_the_text_columns_of_a_database(tmp_path):
    with Database(str(make_shop(tmp_path / "shop.sqlite"))) as database:
        index = ValueIndex.build(database, introspect(database), per_column=3)
    [match] = index.find("中国的客户")
    assert (match.table, match.column, match.value, match.score) == ("customers", "country", "中国", 1.0)
    assert index.find("Cy") == [], "more values than are read of a column"


def test_many_columns_are_read_by_one_query_as_each_is_alone(tmp_path):
    with Database(str(make_shop(tmp_path / "shop.sqlite"))) as database:
        schema = read_sqlite(tmp_path / "shop.sqlite")
        columns = [(table, column) for table in schema.tables for column in text_columns(table)]
        together = distinct_in_one_query(database, columns)
        assert together == [distinct_values(database, *column) for column in columns]
        assert ["United Kingdom", "France", "中国"] in together
        gone = replace(schema.tables[0], name="gone")
        assert distinct_in_one_query(database, [*columns, (gone, columns[0][1])]) is None
