"""Docstrings are found as the parser finds them."""

import ast
import sysconfig
from pathlib import Path

import pytest

from chaku.corpus.reading.docstrings import _parse, docstrings

LONG = "Explain at length, in a good many words, what this is for and when one should not use it at all, ever."
SHAPES = [
    '"""{0}"""\n',
    "#!/usr/bin/env python\n# -*- coding: utf-8 -*-\n\nr'''{0}\\d'''\nx = 1\n",
    '"""{0}""" + "more"\n',
    '"""{0}"""; x = 1\n',
    'u"{0}"\n',
    'b"""{0}"""\n',
    'f"""{0}"""\n',
    '"short " "{0}"\n',
    '"Forty characters of a string, or a few more" " and forty other characters of another one."\n',
    '("""{0}""")\n',
    'x = """{0}"""\n',
    'x: """{0}""" = 1\n',
    'd = {{"a":\n    """{0}"""}}\n',
    'def f(a=":", b={{1: 2}}, c=lambda x: x) -> "x:y":  # a comment: with (brackets\n\n    # more\n    """{0}"""\n',
    'def f(\n    a,  # it\'s (a\n    b,\n):\n    """{0}\n\n        Indented.\n    """\n',
    'def f(): """{0}"""\n',
    'def f():\n    x = 1\n    """{0}"""\n',
    'def f():\n    ("{0}"\n     "more")\n',
    'def f():\n    """{0}\\n\\N{{DIGIT ONE}}\\\n more"""\n',
    'def f():\n    """{0}\\xZZ"""\n',
    "class A:\n    '''{0}'''\n    def g(self):\n        '''g {0}'''\n    async def h(self):\n        '''h {0}'''\n"
    "def k():\n    '''k {0}'''\n",
    'if x:\n    def a():\n        """a {0}"""\nelif y:\n    def b():\n        """b {0}"""\n'
    'elif z:\n    def c():\n        """c {0}"""\n'
    'else:\n    def d():\n        """d {0}"""\ndef e():\n    """e {0}"""\n',
    'try:\n    def a():\n        """a {0}"""\nexcept E as e:\n    def b():\n        """b {0}"""\n'
    'else:\n    def c():\n        """c {0}"""\n'
    'finally:\n    def d():\n        """d {0}"""\n',
    'match x:\n    case 1:\n        def a():\n            """a {0}"""\nclass B:\n    class C:\n        """C {0}"""\n',
    'with a as b, c:\n    for i in x:\n        while 1:\n            def a():\n                """a {0}"""\n'
    "        else:\n            def b():\n"
    '                """b {0}"""\n',
    "class A:\n\tdef f(self):\n\t\t'''{0}'''\n\tif 1:\n\t\tdef g(self):\n\t\t\t'''g {0}'''\n",
    'code = """\ndef inside():\n    \'\'\'{0}\'\'\'\n"""\ndef f():\n    """{0}"""\n',
    'x = [\n    1\n    for y in z\n    if y\n]\n\n\ndef f():\n    """{0}"""\n',
    'def f():\n    """{0}"""\n    print "two"\n',
    'def f():\n    """{0}"""\n    try:\n        pass\n    except E, e:\n        pass\n',
    'def f():\n    """{0}"""\n    raise E, "two"\n',
    'def f():\n    """{0}"""\n    exec "two"\n',
    'def f():\n    """{0}"""\n    x = "no end\n',
    'def f():\n    """{0}"""\n\nprint("fine", file=x)\nprint\n',
    'def f():\r\n    """{0}\r\n    more"""\r\n',
    'def f():\n    """{0}\r more"""\n',
    '\f\nclass A:\n    """{0}"""\n\f\n    def g(self):\n        """g {0}"""\n',
    'def f():\n    """tab\t{0}"""',
    'if x:\n    """{0}"""\n',
    'class A: pass\nlambda: """{0}"""\nx[1:"""{0}"""]\n',
    "",
]


def by_parser(text):
    found = _parse(text)
    return "\n\n".join(found) + "\n" if found else ""


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_as_the_parser(shape):
    text = shape.format(LONG)
    assert docstrings(text) == by_parser(text)


def test_most_shapes_have_a_docstring():
    assert sum(bool(docstrings(shape.format(LONG))) for shape in SHAPES) > 20


def test_the_parser_is_seldom_asked(monkeypatch):
    asked = []
    monkeypatch.setattr("chaku.corpus.reading.docstrings._parse", lambda text: asked.append(text) or [])
    files = [Path(ast.__file__), Path(__file__).parent.parent / "test_build.py"]
    assert all(docstrings(path.read_text()) for path in files[:1])
    assert asked == []


@pytest.mark.slow
def test_the_standard_library_as_the_parser():
    different = []
    for path in Path(sysconfig.get_path("stdlib")).glob("*.py"):
        text = path.read_text()
        if docstrings(text) != by_parser(text):
            different.append(path)
    assert different == []
