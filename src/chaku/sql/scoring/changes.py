"""Changes of a question that keep its meaning: typing errors, and other words for its common phrases.

A change never touches a value or a name: words with a capital letter or a digit, words in quotes, and words of the gold
query's texts stay as they are. The same seed gives the same changes.
"""

import random
import re
from collections.abc import Callable, Iterator
from typing import Literal

from chaku.sql.execute.lexer import tokenize
from chaku.sql.scoring.datasets import Example

Change = Literal["typos", "paraphrases"]
WORDS_PER_TYPO = 6  # of the words that may change, one in six changes, and at least one
SHORTEST_WORD = 4  # letters of a word that gets a typo

_QUOTED = re.compile(r"\"[^\"]*\"|“[^”]*”|'[^']*'(?!\w)|‘[^’]*’")
_WORD = re.compile(r"[A-Za-z]+(?:['’-][A-Za-z]+)*")
# Phrases of questions, and words for them that fit wherever the phrase stands. None is a name of a schema.
_AT_START = (
    (r"how many ", "tell me how many "),
    (r"(?:find|show|list|return|give|display|get)(?: me)? (?=the|all|every|each)", "I need "),
    (r"what (?:is|are) the (?=different|distinct|names?|number|average|total|maximum|minimum)", "tell me the "),
    (r"which ", "please tell me: which "),
)
_ANYWHERE = (
    (r"\bin (?:ascending|alphabetical|lexicographic) order(?: of\b)?", "from first to last"),
    (r"\bmore than\b", "over"),
    (r"\bgreater than\b", "above"),
    (r"\b(?:less|fewer|smaller) than\b", "under"),
    (r"\bat least\b", "no fewer than"),
    (r"\bfor each\b", "for every"),
    (r"\bof each\b", "of every"),
    (r"\bdifferent\b", "distinct"),
    (r"\bdo not have\b", "lack"),
    (r"\bdoes not have\b", "lacks"),
    (r"\bas well as\b", "and also"),
    (r"\bmost recent\b", "latest"),
)


def changed(example: Example, change: Change, seed: int) -> Example | None:
    """The example with a changed question; None if nothing in the question may change."""
    make: dict[Change, Callable[[str, set[str], random.Random], str]] = {"typos": _typos, "paraphrases": _paraphrase}
    draw = random.Random(f"{seed} {change} {example.database} {example.question}")
    question = make[change](example.question, _value_words(example.query), draw)
    if question == example.question:
        return None
    return Example(question, example.query, example.database, example.evidence)


def _value_words(query: str) -> set[str]:
    """The words of the texts in a query, in small letters. Spider writes texts in double quotes too."""
    texts = (token.text for token in tokenize(query) if token.text[:1] in ("'", '"'))
    return {word.lower() for text in texts for word in _WORD.findall(text)}


def _typos(question: str, values: set[str], draw: random.Random) -> str:
    places = [word for word in _free_words(question, values) if len(word[0]) >= SHORTEST_WORD]
    chosen = draw.sample(places, max(len(places) // WORDS_PER_TYPO, 1)) if places else []
    for word in sorted(chosen, key=lambda word: -word.start()):  # from the end, so that places stay right
        question = question[: word.start()] + _misspell(word[0], draw) + question[word.end() :]
    return question


def _free_words(question: str, values: set[str]) -> Iterator[re.Match[str]]:
    """The words that are neither values nor names: in small letters, outside quotes."""
    quoted = [span.span() for span in _QUOTED.finditer(question)]
    for word in _WORD.finditer(question):
        inside = any(begin <= word.start() < end for begin, end in quoted)
        beside = question[max(word.start() - 1, 0) : word.start()] + question[word.end() : word.end() + 1]
        if (
            not inside
            and word[0].islower()
            and word[0].isalpha()
            and word[0] not in values
            and not re.search(r"[\w@]", beside)
        ):
            yield word


def _misspell(word: str, draw: random.Random) -> str:
    """The word with two letters exchanged, a letter missing, or a letter doubled; the first letter stays."""
    place = draw.randrange(1, len(word) - 1)
    neighbours = [here for here in range(1, len(word) - 1) if word[here] != word[here + 1]]
    kind = draw.choice(("exchanged", "missing", "doubled") if neighbours else ("missing", "doubled"))
    if kind == "exchanged":
        place = draw.choice(neighbours)
        return word[:place] + word[place + 1] + word[place] + word[place + 2 :]
    return word[:place] + word[place + 1 :] if kind == "missing" else word[:place] + word[place] + word[place:]


def _paraphrase(question: str, values: set[str], draw: random.Random) -> str:
    """The question with other words for all phrases of the lists outside quotes and values."""

    def outside(found: re.Match[str]) -> bool:
        quoted = any(span.start() <= found.start() < span.end() for span in _QUOTED.finditer(found.string))
        return not quoted and not values & {word.lower() for word in _WORD.findall(found[0])}

    for pattern, words in _AT_START:
        found = re.match(pattern, question, re.IGNORECASE)
        if found and outside(found):
            question = words[0].upper() + words[1:] + question[found.end() :]
            break
    for pattern, words in _ANYWHERE:
        places = [found for found in re.finditer(pattern, question, re.IGNORECASE) if outside(found)]
        for place in reversed(places):
            question = question[: place.start()] + words + question[place.end() :]
    return question
