"""The compiled functions return what their plain forms do."""

import sys
from pathlib import Path

import numpy as np
import pytest

from chaku.corpus import compiled
from chaku.corpus.cleaning.decontamination import Decontamination
from chaku.corpus.cleaning.facts import Facts
from chaku.corpus.cleaning.personal import find_personal
from chaku.corpus.cleaning.secrets import find_secrets
from chaku.corpus.cleaning.token_grams import GramTable, token_grams
from chaku.corpus.reading.docstrings import docstrings
from chaku.evals.problems import Problem

pytest.importorskip("numba")
LONG = "This docstring has more than eighty characters, so that it is a document of its own."
TOKEN = "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"
MADE = [
    "",
    "x",
    f"def f():\n    '''{LONG}\n\n      more\n    '''\n    return 1\n",
    f'class é:\n    """{LONG}"""\n    def g(self):\n        r"""{LONG}\\d"""\n',
    f'async  def f(a=":", b={{1: 2}}):  # (\n    # a comment\n\n    """{LONG}"""\n',
    f'if x:\n\t"""{LONG}"""\nelif y:\n\tdef f():\n\t\t"""{LONG}"""\nelse:\n  def g(): "{LONG}"\n',
    f'def f():\n    ("""{LONG}""")\n',
    f'def f():\n    print "a"\n    """{LONG}"""\n',
    f'try:\n    pass\nexcept (A, B), e:\n    def f():\n        """{LONG}"""\n',
    f'def f():\n    """{LONG}\n',
    f'x = "\\\n"\ndef f():\n    "" """{LONG}"""\n',
    f"# \xa0\nclass A(object):\xa0\n    u'{LONG}'\n",
    "mail a.person@company.com and 91.198.174.192 and 2a00:1450:4001:82b::200e or /home/alice/x and 10:20:30\n",
    "ünï a.person@company.com C:\\\\Users\\\\bob\\\\ 2a00:1450:4001:82b::200e; std::basic::deque 1.2.3.4\n" * 3,
    f"key = {TOKEN!r}; hf_{'abcdefghij' * 3}Klmn; x_SK{'0123456789abcdef' * 2} SK{'0123456789abcdef' * 2}\n",
    "aws_secret = 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYzQWERTYabc'; SecretAccess = 1; eyJ\n",
    "data = [" + ", ".join(f"0x{number:02x}" for number in range(200)) + "]\n",
    "s = '" + "\\\\u00e9" * 50 + "'\n" + "QUJD" * 80 + "\n",
    "日本語のテキスト、文字ばかり。" * 20,
]


@pytest.fixture(scope="module")
def texts() -> list[str]:
    library = Path(sys.modules["json"].__file__).parent.parent
    files = sorted(library.glob("*.py"))[:60:3]
    return [*MADE, *(path.read_text("utf-8", "replace")[:30_000] for path in files)]


@pytest.mark.parametrize(
    "look",
    [
        docstrings,
        lambda text: sorted(found.start for found in find_secrets(text)),
        lambda text: sorted((found.start, found.end, found.kind) for found in find_personal(text)),
        lambda text: [
            (facts.num_lines, facts.letters, facts.digits, facts.has_letters(0.25), facts.has_base64_line(256))
            for facts in [Facts(text, "a.py", "code", "Python")]
        ],
        lambda text: [
            (facts.num_hexadecimal, facts.num_unicode, facts.may_have_bytes)
            for facts in [Facts(text, "a.py", "code", "Python")]
        ],
    ],
    ids=["docstrings", "secrets", "personal", "counts", "encoded"],
)
def test_a_text_is_seen_in_the_same_way(texts, monkeypatch, look):
    monkeypatch.setattr(compiled, "_read", [0])
    plain = [look(text) for text in texts]
    monkeypatch.setattr(compiled, "_read", [compiled.WORTH_LOADING])
    assert compiled.kernels() is not None
    assert [look(text) for text in texts] == plain
    assert any(plain)


def test_the_same_10_grams_and_problems_are_found(texts, monkeypatch):
    hashes = sorted({gram for text in texts[::2] for gram in token_grams(text)[0].tolist()})
    table = GramTable(np.array(hashes, np.uint64))
    problems = Decontamination([Problem("p", MADE[2] + texts[-1][:2000], (), None)])
    found = []
    for cleaned in (0, compiled.WORTH_LOADING):
        monkeypatch.setattr(compiled, "_read", [cleaned])
        found.append([table.find(text).tolist() for text in texts])
        found[-1].append([problems.find(text, "Python") for text in texts])
    assert found[0] == found[1]
    assert sum(map(len, found[0])) > 1000
    assert any(found[0][-1])
