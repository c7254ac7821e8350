"""Conversations with the shop: by rule, with a model that writes what a test says, and with a question back."""

import sqlite3
from contextlib import closing

import pytest

pytest.importorskip("sqlglot", reason="needs the sql extra")

from chaku import ChakuError
from chaku.plain import from_plain
from chaku.sql.ask.answers import Answer
from chaku.sql.ask.asker import Asker
from chaku.sql.ask.memory import Memory
from chaku.sql.conversation.session import MAX_TURNS, Session
from chaku.sql.conversation.unclear import Clarify
from chaku.sql.execute.database import Database
from chaku.sql.glossary.file import Glossary
from chaku.sql.glossary.rules import CurrentRules
from chaku.sql.schema.knowledge import Knowledge
from sql.glossary.rulebooks import TODAY

PERU = "SELECT name FROM customer WHERE country = 'Peru' ORDER BY name LIMIT 2"


class Scripted:
    """A writer of one query, which keeps its prompts."""

    form, max_prompt_tokens, query = "ddl", 4000, PERU

    def __init__(self):
        self.prompts = []

    def count_tokens(self, text):
        return len(text) // 3

    def write_each(self, prompt, schema, num_samples):
        self.prompts.append(prompt.partition("\n-- SQLite\n")[2])
        return enumerate([self.query])


@pytest.fixture
def session_over(tmp_path):
    """session_over(database file, glossary or None, **settings of the asker) -> a session on 15 June 2024."""
    opened = []

    def one(path, words, **settings):
        database = Database(str(path))
        opened.append(database)
        knowledge = Knowledge(database)
        rules = CurrentRules(words, knowledge) if words else None
        memory = Memory(tmp_path / "memory.jsonl")
        asker = Asker(database, Scripted(), num_samples=1, knowledge=knowledge, rules=rules, memory=memory, **settings)
        return Session(asker, today=lambda: TODAY["shop"])

    yield one
    for database in opened:
        database.close()


@pytest.fixture
def talk(session_over, shop_file, shop_words):
    """A session with the shop and its glossary."""
    return session_over(shop_file, shop_words)


@pytest.fixture
def plain(session_over, shop_file):
    """A session with the shop, without a glossary."""
    return session_over(shop_file, None)


def rows(shop_file, query):
    with closing(sqlite3.connect(shop_file)) as connection:
        return connection.execute(query).fetchall()


def rounded(found):
    return [tuple(round(cell, 6) if isinstance(cell, float) else cell for cell in row) for row in found]


def test_follow_ups_to_a_metric_need_no_model_and_say_what_they_follow(talk, shop_file):
    talk.ask("revenue by country in 2023")
    answer = talk.ask("and by month?")
    assert (answer.by_rule, answer.confidence) == (True, 1.0)
    assert answer.question == "revenue by country in 2023, and by month?"
    assert answer.assumptions[-1] == 'taken as a follow-up to "revenue by country in 2023"'
    german = talk.ask("only Germany")
    query = """SELECT substr(day, 1, 7), sum(amount) FROM purchase JOIN customer ON customer_id = customer.id
        WHERE status IN ('paid', 'sent') AND day LIKE '2023%' AND country = 'Germany' GROUP BY 1"""
    assert rounded(german.result.rows) == rounded(rows(shop_file, query))
    assert talk.asker.writer.prompts == []
    assert len(talk.turns) == 3


def test_a_new_question_begins_anew(talk):
    talk.ask("revenue by country in 2023")
    answer = talk.ask("How many orders are there?")
    assert answer.question == "How many orders are there?"
    assert not any("follow-up" in text for text in answer.assumptions)
    assert talk.ask("and in 2022?").question == "How many orders are there? and in 2022?"


def test_the_model_gets_the_query_before_and_its_first_rows(plain):
    plain.ask("Which customers are from Peru?")
    plain.asker.writer.query = "SELECT name, age FROM customer WHERE country = 'Peru' AND age > 60"
    answer = plain.ask("only those older than 60")
    prompt = plain.asker.writer.prompts[-1]
    assert f'The query of "Which customers are from Peru?" was: {PERU};' in prompt
    names = [row[0] for row in plain.turns[0].answer.result.rows]
    assert f"its first rows: ({names[0]}), ({names[1]});" in prompt
    assert prompt.endswith("\n-- Which customers are from Peru? only those older than 60\n")
    assert answer.assumptions[-1] == 'taken as a follow-up to "Which customers are from Peru?"'
    plain.ask("sorted by age")
    assert plain.asker.writer.query in plain.asker.writer.prompts[-1]
    plain.ask("How many products are there?")
    assert "The query of" not in plain.asker.writer.prompts[-1]


def test_a_rule_cannot_follow_an_unknown_word_so_the_model_gets_the_rules_query(talk):
    talk.ask("revenue by country in 2023")
    talk.asker.writer.query = "SELECT 1"
    answer = talk.ask("without Peru")
    assert not answer.by_rule
    assert 'The query of "revenue by country in 2023" was: SELECT customer.country' in talk.asker.writer.prompts[-1]


def test_earlier_turns_have_a_budget(plain):
    plain.max_tokens = len(PERU)  # room for two queries or so, of three letters a token
    for text in ("Which customers are from Peru?", *["and those over 60?"] * 12):
        plain.ask(text)
    before = plain.asker.writer.prompts[-1].partition(" customer is ")[0]
    assert 1 <= before.count("The query of") <= 3
    plain.max_tokens = 5
    answer = plain.ask("and those over 70?")
    assert "The query of" not in plain.asker.writer.prompts[-1]
    assert "the query before had no room in the prompt; its question did" in answer.assumptions
    for _ in range(MAX_TURNS):
        plain.ask("and now?")
    assert len(plain.turns) == MAX_TURNS


def test_a_correction_changes_the_turn_and_not_the_memory(talk, plain):
    talk.ask("revenue by country")
    answer = talk.ask("no, I meant paid orders only")
    assert "purchase.status = 'paid'" in answer.assumptions[0]
    assert [turn.thread for turn in talk.turns] == [("revenue by country", "no, I meant paid orders only")]
    plain.ask("How many products are there?")
    plain.ask("no, I meant red ones")
    assert len(plain.turns) == 1
    assert talk.asker.memory.pairs == plain.asker.memory.pairs == []


def test_a_turn_that_was_corrected_is_not_said_to_the_model(plain):
    plain.asker.writer.query = "SELECT 'of another conversation'"
    plain.ask("Which suppliers are there?")
    plain.asker.writer.query = "SELECT 'wrong'"
    plain.ask("How many products are there?")
    plain.asker.writer.query = "SELECT count(*) FROM product WHERE color = 'red'"
    plain.ask("no, I meant red ones")
    plain.ask("and by category?")
    before = plain.asker.writer.prompts[-1]
    assert plain.asker.writer.query in before
    assert "wrong" not in before
    assert "of another conversation" not in before


def test_back_and_new(talk):
    assert talk.back() is None
    talk.ask("revenue by country")
    talk.ask("and in 2023?")
    assert talk.back().question == "revenue by country"
    assert "2022-01-01" in talk.ask("and in 2022?").assumptions[0]
    talk.new()
    assert talk.turns == []
    assert talk.ask("in 2023").question == "in 2023"  # nothing to go on with


def test_a_refusal_is_no_turn(talk):
    talk.ask("revenue by country")
    assert talk.ask("and by category?").refusal
    assert talk.ask("by month").assumptions[-1] == 'taken as a follow-up to "revenue by country"'


def test_a_value_that_fits_no_row_beside_another_takes_its_place(talk, shop_file):
    talk.ask("revenue in Peru")
    answer = talk.ask("and in Paris?")
    assert "customer.country = 'Peru' is left out, since no row has both" in answer.assumptions
    query = """SELECT sum(amount) FROM purchase JOIN customer ON customer_id = customer.id
        WHERE status IN ('paid', 'sent') AND city = 'Paris'"""
    assert rounded(answer.result.rows) == rounded(rows(shop_file, query))
    talk.ask("revenue in Peru")
    narrowed = talk.ask("only Paris")
    assert narrowed.result.rows == [(None,)]


GEORGIA = """CREATE TABLE customer (id INTEGER PRIMARY KEY, name TEXT, country TEXT, state TEXT);
CREATE TABLE sale (id INTEGER PRIMARY KEY, customer_id INTEGER REFERENCES customer (id), amount REAL);
INSERT INTO customer VALUES (1, 'Ada', 'Georgia', 'Imereti'), (2, 'Bo', 'US', 'Georgia'), (3, 'Cy', 'US', 'Georgia');
INSERT INTO sale VALUES (1, 1, 10), (2, 2, 20), (3, 3, 5), (4, 3, 7);"""
GEORGIA_WORDS = {"metrics": {"revenue": {"expression": "sum(amount)", "table": "sale"}}}


@pytest.fixture
def georgia(session_over, tmp_path):
    path = tmp_path / "georgia.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(GEORGIA)
    return lambda **settings: session_over(path, from_plain(Glossary, GEORGIA_WORDS, "words"), **settings)


@pytest.mark.parametrize("choice", ["2", "2.", "the second", "state", "customer.state", "The state, please"])
def test_an_unclear_value_gets_one_question_back(georgia, choice):
    session = georgia()
    asked = session.ask("revenue in Georgia")
    words = ("customer.country = 'Georgia'", "customer.state = 'Georgia'")
    assert asked == Clarify(f"Do you mean {words[0]} or {words[1]}?", words)
    answer = session.ask(choice)
    assert answer.result.rows == [(32.0,)]
    assert answer.assumptions == (
        "by rule: revenue = sum(amount) of sale; customer.state = 'Georgia'",
        "you chose customer.state = 'Georgia'",
    )
    assert session.ask("by country").result.rows == [("US", 32.0)]
    assert session.asker.writer.prompts == []


def test_the_question_back_has_the_language_of_the_question(georgia):
    assert georgia().ask("Was ist die revenue in Georgia?").question.startswith("Meinen Sie customer.country")
    assert georgia().ask("Georgia 的 revenue 是多少？").question.startswith("您是指 customer.country")


def test_there_are_never_two_questions_in_a_row(georgia):
    session = georgia()
    session.asker.writer.query = "SELECT count(*) FROM customer WHERE state = 'Georgia'"
    assert isinstance(session.ask("revenue in Georgia"), Clarify)
    with pytest.raises(ChakuError, match="there is no choice 7; give a number from 1 to 2"):
        session.ask("7")
    assert isinstance(session.ask("How many are in Georgia?"), Answer)  # no choice, so a new question
    assert isinstance(session.ask("revenue in Georgia"), Clarify)
    assert isinstance(session.ask("revenue"), Answer)


def test_the_choice_reaches_the_model(georgia):
    session = georgia()
    session.asker.writer.query = "SELECT name FROM customer WHERE state = 'Georgia'"
    asked = session.ask("Who is in Georgia?")
    assert asked.choices == ("customer.country = 'Georgia'", "customer.state = 'Georgia'")
    assert session.asker.writer.prompts == []
    answer = session.ask("state")
    assert "georgia is customer.state = 'Georgia';" in session.asker.writer.prompts[0]
    assert "georgia is customer.country" not in session.asker.writer.prompts[0]
    assert answer.result.rows == [("Bo",), ("Cy",)]
    session.asker.writer.query = "SELECT name FROM customer WHERE country = 'Georgia'"
    assert isinstance(session.ask("Who lives in Georgia?"), Clarify)
    refused = session.ask("2")
    assert "no query uses customer.state, which you chose" in refused.refusal


@pytest.mark.parametrize(
    "question", ["Who is in the state Georgia?", "Which country is Georgia?", "Who lives in Imereti?", "Where is Bo?"]
)
def test_no_question_back_where_one_column_leads(georgia, question):
    assert isinstance(georgia().ask(question), Answer)


def test_two_columns_of_equal_rank_are_asked_about(session_over, shop_file):
    words = {"metrics": {"revenue": {"expression": "sum(amount)", "table": "purchase"}}}
    session = session_over(shop_file, from_plain(Glossary, words, "words"))
    assert session.ask("revenue by city").choices == ("customer.city", "employee.city")
    by_seller = session.ask("the employee")
    assert "by employee.city" in by_seller.assumptions[0]
    assert "employee.city = 'Lima'" in session.ask("only Lima").assumptions[0]  # the column that the query has already


def test_two_metrics_of_equal_rank_are_asked_about(talk):
    talk.ask("revenue in Germany")
    asked = talk.ask("and paid orders?")
    assert [choice.partition(" = ")[0] for choice in asked.choices] == ["revenue", "number of orders"]
    assert talk.ask("the number of orders").assumptions[0].startswith("by rule: number of orders")


GERMANY = "SELECT count(*) FROM customer WHERE country = 'Germany'"


def test_a_new_value_is_put_into_the_models_query_by_rule(plain, shop_file):
    plain.asker.writer.query = GERMANY
    before = plain.ask("How many customers are there in Germany?")
    answer = plain.ask("and France?")
    assert answer.result.rows == rows(shop_file, GERMANY.replace("Germany", "France")) != before.result.rows
    assert answer.by_rule
    assert answer.assumptions == (
        "by rule: customer.country = 'France' in the place of 'Germany'; the rest of the query before stays",
        'taken as a follow-up to "How many customers are there in Germany?"',
    )
    assert len(plain.asker.writer.prompts) == 1
    assert plain.back().answer == before
    assert plain.ask("only Peru").result.rows == rows(shop_file, GERMANY.replace("Germany", "Peru"))
    assert plain.ask("no, I meant Japan").result.rows == rows(shop_file, GERMANY.replace("Germany", "Japan"))
    assert [turn.thread[-1] for turn in plain.turns][1:] == ["no, I meant Japan"]
    assert plain.back().answer == before


def test_a_swapped_query_is_as_sure_as_the_query_before(plain):
    plain.asker.num_samples = 5
    plain.asker.writer.query = GERMANY
    assert plain.ask("How many customers are there in Germany?").confidence == 0.2  # a sample of five
    assert plain.ask("and France?").confidence == 0.2


def test_a_value_that_fits_two_literals_gets_one_question_back(plain, shop_file):
    plain.asker.writer.query = both = "SELECT count(*) FROM customer WHERE country IN ('Germany', 'Italy')"
    plain.ask("How many customers are from Germany and Italy?")
    asked = plain.ask("and from Peru?")
    assert asked.question == f"Do you mean {' or '.join(asked.choices)}?"
    assert len(asked.choices) == 3
    answer = plain.ask("2")
    assert answer.result.rows == rows(shop_file, both.replace("Italy", "Peru"))
    assert answer.assumptions[0].startswith("by rule: customer.country = 'Peru' in the place of 'Italy'; ")
    assert len(plain.asker.writer.prompts) == 1


def test_a_column_that_the_user_chose_is_kept_by_a_new_value(georgia):
    session = georgia()
    session.asker.writer.query = "SELECT name FROM customer WHERE state = 'Georgia'"
    session.ask("Who is in Georgia?")
    assert session.ask("state").result.rows == [("Bo",), ("Cy",)]
    assert session.ask("and Imereti?").result.rows == [("Ada",)]
    assert [match.value for match in session.turns[-1].meant] == ["Imereti"]


def test_a_server_that_goes_away_in_the_middle_leaves_the_conversation_as_it_was(plain, monkeypatch):
    plain.ask("Which customers are from Peru?")
    run = Database.run_unchecked

    def lost(self, sql, **limits):
        if "customer" in sql:
            raise ChakuError("the database shop does not answer: the server ended the connection")
        return run(self, sql, **limits)

    monkeypatch.setattr(Database, "run_unchecked", lost)
    with pytest.raises(ChakuError, match="does not answer"):
        plain.ask("and France?")
    monkeypatch.setattr(Database, "run_unchecked", run)
    answer = plain.ask("and France?")
    assert answer.sql == "SELECT name FROM customer WHERE country = 'France' ORDER BY name LIMIT 2"
    assert len(plain.turns) == 2


def test_why_is_answered_with_numbers_to_compare_and_says_so(talk, shop_file):
    talk.ask("revenue by month in 2023")
    answer = talk.ask("why is March so low?")
    assert answer.assumptions[1] == "a query cannot say why; this shows 2023-03 beside 2023-02 by customer.country"
    query = """SELECT country, substr(day, 1, 7), sum(amount) FROM purchase JOIN customer ON customer_id = customer.id
        WHERE status IN ('paid', 'sent') AND substr(day, 1, 7) IN ('2023-02', '2023-03') GROUP BY 1, 2 ORDER BY 1, 2"""
    assert rounded(answer.result.rows) == rounded(rows(shop_file, query))
    talk.new()
    talk.ask("revenue by month")
    asked = talk.ask("Why is March so low?")
    assert asked.choices == ("2022-03", "2023-03", "2024-03")
    assert "2024-03-01" in talk.ask("3").assumptions[0]


def test_why_without_a_metric_is_refused_and_a_question_with_why_is_the_models(plain):
    plain.ask("Which customers are from Peru?")
    assert "not why. Ask for numbers to compare" in plain.ask("why is it so?").refusal
    answer = plain.ask("Why do customers return products?")
    assert "a query can say what is in the rows, not why" in answer.assumptions


def test_without_values_no_cell_reaches_the_model(georgia):
    """The data's 'Georgia' is written as nobody asks for it, so that a test sees it."""
    session = georgia(send_values=False)
    session.asker.writer.query = "SELECT name FROM customer WHERE state = 'georgia'"
    assert isinstance(session.ask("Who is in georgia?"), Clarify)
    answer = session.ask("2")
    assert answer.sql == "SELECT name FROM customer WHERE state = 'Georgia'"
    session.ask("and how many of them?")
    session.ask("revenue by state for georgia customers")
    session.ask("1")
    session.ask("without Imereti")
    prompts = "".join(session.asker.writer.prompts)
    assert len(session.asker.writer.prompts) == 3
    assert "The query of \"Who is in georgia?\" was: SELECT name FROM customer WHERE state = 'georgia';" in prompts
    assert [cell for cell in ("Georgia", "Bo", "Cy", "US", "32") if cell in prompts] == []


def test_without_values_a_query_with_a_swapped_value_is_not_sent(georgia):
    session = georgia(send_values=False)
    session.asker.writer.query = "SELECT name FROM customer WHERE state = 'imereti'"
    session.ask("Who lives in the state imereti?")
    assert session.ask("and in georgia?").sql == "SELECT name FROM customer WHERE state = 'Georgia'"
    session.ask("and how many of them?")
    prompts = "".join(session.asker.writer.prompts)
    assert len(session.asker.writer.prompts) == 2
    assert [cell for cell in ("Georgia", "Imereti", "Bo") if cell in prompts] == []
