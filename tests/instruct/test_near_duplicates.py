"""Questions that say nearly the same are found; short and merely similar ones are not."""

import random

from chaku.instruct.near_duplicates import NearDuplicates

LONG = (
    "write a function that takes a list of numbers and returns the sum of those that are even and above a given bound"
)


def test_a_word_changed_is_near_and_the_first_stays() -> None:
    seen = NearDuplicates()
    assert seen.add("a", LONG) is None
    assert seen.add("b", LONG.replace("bound", "limit")) == "a"
    assert seen.add("c", LONG.upper() + "!") == "a"
    assert (
        seen.add("d", "write a function that takes a text and returns how often each of its letters is in it") is None
    )


def test_short_texts_are_alike_only_when_they_are_the_same() -> None:
    seen = NearDuplicates()
    short = ["add two", "add three", "sort", "sort it now", "sort it then", "it", "?", "!"]
    assert [seen.add(text, text) for text in short] == [None] * 7 + ["?"]
    assert seen.add("again", "Sort!") == "sort"


def test_found_pairs_are_those_that_comparing_all_finds() -> None:
    draw = random.Random(1)
    texts = []
    for _ in range(60):
        words = [f"w{draw.randrange(500)}" for _ in range(24)]
        texts.append(words)
        changed = list(words)
        for place in draw.sample(range(24), draw.choice([1, 2, 4, 8])):
            changed[place] = f"v{draw.randrange(500)}"
        texts.append(changed)

    def triples(words: list[str]) -> set[tuple[str, ...]]:
        return {tuple(words[at : at + 3]) for at in range(len(words) - 2)}

    def alike(a: list[str], b: list[str]) -> bool:
        return len(triples(a) & triples(b)) >= 0.7 * len(triples(a) | triples(b))

    seen, kept = NearDuplicates(0.7), []
    for number, words in enumerate(texts):
        expected = any(alike(words, texts[other]) for other in kept)
        assert (seen.add(str(number), " ".join(words)) is not None) == expected
        if not expected:
            kept.append(number)
    assert 60 < len(kept) < 120
