"""The rules by which StarCoder chose commits, for documents of kind "commit".

From BigCode's notebook (bigcode-dataset, preprocessing/filtering_git_commits.ipynb, commit c306a595). Its size of a
change always counts from the first line of the file, so that a small change at the end counts as a large one. Here the
size is what its report describes: the lines from the first to the last that differ, in the longer of the two texts.
"""

import hashlib
import re

from chaku.corpus.cleaning.facts import Facts
from chaku.corpus.reading.commits import equal_ends
from chaku.documents import split_commit

SMALL, LARGE = 2, 200  # changed lines
KEPT_SMALL, KEPT_LARGE = 0.1, 0.1  # the share of such commits that stays
SHORT_MESSAGE, KEPT_SHORT = 5, 0.5  # words of the subject; and the share that stays
WORD_LENGTH = 20  # mean characters of a subject for each of its words; hashes have more

_EMPTY_WORDS = frozenset(
    {"readme", "update", "updated", "dummy", "debug", "test"}
    | {f"{verb} {file}" for verb in ("update", "updated") for file in ("readme", "readme.md")}
)
_AUTOMATIC = ("auto commit", "update contributing", "<?xml")
_VERSION = re.compile(r"v?\d+\.\d+\.\d+(?=$|\S)")


def says_nothing(facts: Facts) -> bool:
    """Whether the message is empty, automatic, a single stock phrase, a version or a hash."""
    if facts.kind != "commit":
        return False
    subject = _subject(facts)
    words = subject.split()
    return (
        not words
        or subject in _EMPTY_WORDS
        or any(part in subject for part in _AUTOMATIC)
        or _VERSION.match(subject) is not None
        or len(subject) / len(words) > WORD_LENGTH
    )


def is_left_out_as_short(facts: Facts) -> bool:
    """Whether this commit is of the half that is left out because its subject has few words."""
    return facts.kind == "commit" and len(_subject(facts).split()) < SHORT_MESSAGE and _drawn(facts, "m") >= KEPT_SHORT


def is_left_out_as_small(facts: Facts) -> bool:
    """Whether this commit changes few lines, and is not of the tenth that stays."""
    return facts.kind == "commit" and _changed_lines(facts) <= SMALL and _drawn(facts, "s") >= KEPT_SMALL


def is_left_out_as_large(facts: Facts) -> bool:
    """Whether this commit changes many lines, and is not of the tenth that stays."""
    return facts.kind == "commit" and _changed_lines(facts) >= LARGE and _drawn(facts, "l") >= KEPT_LARGE


def deletes_everything(facts: Facts) -> bool:
    """Whether the file is empty after the commit."""
    return facts.kind == "commit" and not split_commit(facts.text)[2].strip()


def _subject(facts: Facts) -> str:
    return split_commit(facts.text)[1].strip().partition("\n")[0].strip().lower()


def _changed_lines(facts: Facts) -> int:
    before, _, after = split_commit(facts.text)
    old, new = before.partition("\n")[2].splitlines(), after.splitlines()  # the first line before is the path
    return max(len(old), len(new)) - sum(equal_ends(old, new))


def _drawn(facts: Facts, rule: str) -> float:
    """A number from 0 to 1 that is the same for the same document in every build."""
    digest = hashlib.blake2b(facts.text.encode("utf-8", "surrogatepass"), digest_size=8, person=rule.encode()).digest()
    return int.from_bytes(digest, "little") / 2**64
