"""Changed questions: the same seed gives the same changes, and values and names stay as they are."""

import pytest

pytest.importorskip("sqlglot", reason="needs the sql extra")

from chaku.sql.scoring.changes import changed
from chaku.sql.scoring.datasets import Example


def words(question):
    return question.replace("?", "").replace(".", "").split()


LONG = Example(
    "What are the names of all singers older than thirty from France or 'new york' who sang blues in 2014?",
    "SELECT name FROM singer WHERE country = 'France' OR city = 'new york' OR style = 'blues'",
    "music",
)


@pytest.mark.parametrize("seed", range(20))
def test_a_typo_changes_few_words_and_never_a_value_a_name_or_a_first_letter(seed):
    new = changed(LONG, "typos", seed)
    pairs = list(zip(words(LONG.question), words(new.question), strict=True))
    wrong = [(old, typed) for old, typed in pairs if old != typed]
    assert len(wrong) == 1  # of ten words that may change
    for old, typed in wrong:
        assert old not in ("What", "France", "'new", "york'", "blues", "2014")
        assert typed[0] == old[0]
        assert abs(len(typed) - len(old)) <= 1
    assert (new.query, new.database) == (LONG.query, LONG.database)


def test_the_same_seed_gives_the_same_typos_and_seeds_differ():
    assert changed(LONG, "typos", 3) == changed(LONG, "typos", 3)
    assert len({changed(LONG, "typos", seed).question for seed in range(20)}) > 5


@pytest.mark.parametrize(
    ("question", "query", "said"),
    [
        ("How many singers are there?", "SELECT 1", "Tell me how many singers are there?"),
        ("What is the average age for each country?", "SELECT 1", "Tell me the average age for every country?"),
        ("Show the names of songs with more than 3 plays", "SELECT 1", "I need the names of songs with over 3 plays"),
        ("Which city has at least 2?", "SELECT 1", "Please tell me: which city has no fewer than 2?"),
        ("Is it called 'more than'?", "SELECT 'more than'", None),
        ("Who wrote more than words?", "SELECT a FROM t WHERE b = 'More Than Words'", None),
        ("每个国家有多少歌手？", "SELECT 1", None),
    ],
)
def test_a_paraphrase_says_common_phrases_otherwise_and_leaves_values_alone(question, query, said):
    new = changed(Example(question, query, "music"), "paraphrases", 0)
    assert (new.question if new else None) == said


def test_a_question_without_a_word_to_misspell_gets_no_typo():
    assert changed(Example("每个国家有多少歌手？", "SELECT 1", "music"), "typos", 0) is None
    assert changed(Example("Who is Ann?", "SELECT 1", "music"), "typos", 0) is None
