"""Questions that lines of real code inspire (OSS-Instruct: Magicoder, arXiv 2312.02120, section 2.1)."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from chaku.documents import read_documents
from chaku.errors import ChakuError
from chaku.instruct.prompts import read_question
from chaku.instruct.questions import PROMPTS_AT_ONCE, Question
from chaku.instruct.scheduler import Scheduler
from chaku.instruct.triples import Settings

MAX_LINES = 15  # of a snippet, from 1 on; Magicoder, section 2.1
MIN_CHARACTERS = 30  # of a snippet, without white space; a closing bracket inspires nothing
MAX_CHARACTERS = 2_000


@dataclass(frozen=True)
class Snippet:
    """Consecutive lines of a document. `source`: the document's path and the first line's number, from 1."""

    text: str
    source: str


def draw_snippets(corpus: Path, wanted: int, seed: int) -> list[Snippet]:
    """Snippets of `wanted` different code documents of a corpus, or of all, if it has fewer; drawn evenly by `seed`.

    Raises ChakuError for a folder that is no corpus, and for a corpus without code.
    """
    draws = random.Random(seed)
    chosen: list[Snippet] = []
    num_seen = 0
    for document in read_documents(corpus, "train", ("code",)):
        if (snippet := _cut(document.text, document.path, draws)) is None:
            continue
        num_seen += 1
        if len(chosen) < wanted:
            chosen.append(snippet)
        elif (place := draws.randrange(num_seen)) < wanted:  # algorithm R: every document is as likely as any other
            chosen[place] = snippet
    if not chosen:
        raise ChakuError(f"{corpus} has no code to be inspired by; name a corpus with code (chaku corpus build)")
    draws.shuffle(chosen)
    return chosen


def ask_inspired(scheduler: Scheduler, settings: Settings, snippets: Sequence[Snippet]) -> Iterator[Question]:
    """Ask the model for one question a snippet. A reply without text gives none. Stops when the tokens run out."""
    for start in range(0, len(snippets), PROMPTS_AT_ONCE):
        part = snippets[start : start + PROMPTS_AT_ONCE]
        prompts = [settings.prompts.inspire.format(snippet=snippet.text) for snippet in part]
        answers = scheduler.answer([settings.ask("inspire", prompt, 1, "[/QUESTION]") for prompt in prompts])
        for snippet, replies in zip(part, answers, strict=False):
            if text := read_question(replies[0].text):
                yield Question(text, snippet.source)
        if len(answers) < len(part):
            return


def _cut(text: str, path: str, draws: random.Random) -> Snippet | None:
    """A few lines from a random place of the text; None where they hold too little."""
    lines = text.splitlines()
    if not lines:
        return None
    length = draws.randint(1, MAX_LINES)
    start = draws.randrange(max(1, len(lines) - length + 1))
    cut = "\n".join(lines[start : start + length])[:MAX_CHARACTERS].strip("\n")
    if len("".join(cut.split())) < MIN_CHARACTERS:
        return None
    return Snippet(cut, f"{path}:{start + 1}")
