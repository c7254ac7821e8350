"""Language by name, then by first line."""

import pytest

from chaku.corpus.reading.languages import kind_and_language


@pytest.mark.parametrize(
    ("path", "text", "expected"),
    [
        ("a/b.py", "", ("code", "Python")),
        ("a/b.h", "", ("code", "C")),
        ("a/b.h", "namespace a {\nclass B {\n public:\n  int c;\n};\n}\n", ("code", "C++")),
        ("a/b.h", "template <typename T>\nT twice(T x);\n", ("code", "C++")),
        (
            "a/b.h",
            "/* Of a\n   class and of\n   using namespace. */\nstruct b { int c; };\n",
            ("code", "C"),
        ),
        ("a/b.h", "#ifdef __cplusplus\ntemplate <int n> class B { };\n#endif\n", ("code", "C")),
        ("a/b.rs", "", ("code", "Rust")),
        ("a/b.ts", "", ("code", "TypeScript")),
        ("Makefile", "", ("code", "Makefile")),
        ("tool", "#!/usr/bin/env python3\n", ("code", "Python")),
        ("tool", "#!/bin/sh\n", ("code", "Shell")),
        ("tool", "#!/usr/bin/perl5.36 -w\n", ("code", "Perl")),
        ("README", "", ("code_prose", "Text")),
        ("docs/x.rst", "", ("code_prose", "reStructuredText")),
        ("/usr/share/man/man1/ls.1.gz", "", ("code_prose", "Manual")),
        ("LICENSE.txt", "", ("prose", "Text")),
        ("copyright", "", ("prose", "Text")),
        ("novel.txt", "", ("prose", "Text")),
        ("photo.jpg", "", None),
        ("unknown", "words", None),
    ],
)
def test_kind_and_language(path, text, expected):
    assert kind_and_language(path, text) == expected
