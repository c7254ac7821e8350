"""What a file imports, in each language with known import syntax, and the order of a repository's files."""

import pytest

from chaku.corpus.reading.imports import find_imports
from chaku.corpus.reading.repository_order import File, order_files

# language: files of a small repository by path; `order` is the one order that its imports allow.
REPOSITORIES = {
    "Python": {
        "pkg/errors.py": "class Mistake(Exception): pass\n",
        "pkg/tools/__init__.py": "from ..errors import Mistake\n",
        "pkg/tools/text.py": "from . import Mistake\n",
        "pkg/core.py": "import os, sys\nfrom .tools.text import (\n    clean,  # a comment\n    cut,\n)\n",
        "pkg/__init__.py": "from pkg.core import run\n",
        "tests/test_core.py": "import pkg\n",
    },
    "JavaScript": {
        "lib/a.js": "module.exports = 1\n",
        "lib/b/index.js": "const a = require('../a')\n",
        "lib/c.mjs": "import fs from 'fs'\nimport b from './b'\n",
        "main.js": "export * from './lib/c.mjs'\n",
    },
    "TypeScript": {
        "src/a.ts": "export const a = 1\n",
        "src/b.tsx": "import { a } from './a.js'\n",
        "src/c.ts": "const b = await import('./b')\n",
    },
    "Java": {
        "src/main/java/org/x/A.java": "package org.x;\n",
        "src/main/java/org/x/y/B.java": "import org.x.A;\n",
        "src/main/java/org/x/z/C.java": "import static org.x.y.B.run;\n",
        "src/main/java/org/x/D.java": "import org.x.z.*;\n",
    },
    "C": {
        "include/proj/a.h": "int a;\n",
        "include/proj/b.h": '#include "a.h"\n',
        "src/c.c": "#include <stdio.h>\n#include <proj/b.h>\n",
    },
    "Go": {
        "errs/errs.go": "package errs\n",
        "errs/errs_test.go": 'package errs\nimport "example.com/m/store"\n',
        "store/store.go": 'package store\nimport (\n\t"fmt"\n\te "example.com/m/errs"\n)\n',
        "main.go": 'package main\nimport "example.com/m/store"\n',
    },
    "Rust": {
        "src/errors.rs": "pub enum Error {}\n",
        "src/net/wire.rs": "use crate::errors::Error;\n",
        "src/net/mod.rs": "mod wire;\nuse self::wire::Wire;\n",
        "src/main.rs": "mod net;\nuse std::io;\n",
    },
}


def files_of(language):
    return [
        File(number, path, language, find_imports(text, path, language))
        for number, (path, text) in enumerate(REPOSITORIES[language].items())
    ]


@pytest.mark.parametrize("language", REPOSITORIES)
@pytest.mark.parametrize("seed", range(6))
def test_every_file_comes_after_its_imports(language, seed):
    files = files_of(language)
    ordered = [file.path for file in order_files(files[::-1], "owner/name", seed)]
    free = [path for path in ordered if path.endswith("_test.go")]  # nothing imports it, so it may come anywhere later
    assert [path for path in ordered if path not in free] == [file.path for file in files if file.path not in free]


def test_an_import_takes_the_nearest_file():
    paths = ["a/util.h", "b/util.h", "b/main.c"]
    files = [File(0, paths[0], "C", ()), File(1, paths[1], "C", ()), File(2, paths[2], "C", (("~util.h",),))]
    for seed in range(20):
        ordered = [file.path for file in order_files(files, "x", seed)]
        assert ordered.index("b/util.h") < ordered.index("b/main.c")
    assert any(order_files(files, "x", seed)[-1].path == "a/util.h" for seed in range(20))


def test_a_repository_may_itself_be_the_package():
    imports = find_imports("import pkg.core\n", "cli.py", "Python")
    files = [File(0, "cli.py", "Python", imports), File(1, "core.py", "Python", ())]
    assert all(order_files(files, "site/pkg", seed)[0].path == "core.py" for seed in range(10))


def test_cycles_end_and_the_order_depends_on_seed_and_names_alone():
    files = [File(number, f"{number}.py", "Python", ((f"={(number + 1) % 40}.py",),)) for number in range(40)]
    for seed in range(5):
        ordered = order_files(files, "x", seed)
        assert sorted(file.document for file in ordered) == list(range(40))
        assert order_files(files[::-1], "x", seed) == ordered
        places = [file.document for file in ordered]
        # One import of the cycle is broken, and every other holds.
        assert sum(places.index((number + 1) % 40) > places.index(number) for number in range(40)) == 1
    assert order_files(files, "x", 1) != order_files(files, "x", 2)


def test_files_without_known_imports_are_in_a_random_order():
    files = [File(number, f"{number}.sql", "SQL", find_imports("select 1", "", "SQL")) for number in range(30)]
    orders = {tuple(file.document for file in order_files(files, "x", seed)) for seed in range(4)}
    assert len(orders) == 4
    assert tuple(range(30)) not in orders


def test_a_long_chain_needs_no_deep_stack():
    files = [File(number, f"{number}.h", "C", ((f"~{number + 1}.h",),)) for number in range(5000)]
    assert [file.document for file in order_files(files, "x", 0)] == list(range(4999, -1, -1))


def test_names_between_comments():
    text = "from .a import (  # why\n    b as c,  # x, y\n    d,\n)\n"
    assert [candidates[0] for candidates in find_imports(text, "p/q.py", "Python")] == ["=p/a/b.py", "=p/a/d.py"]


def test_lazy_imports_and_other_texts_are_no_imports():
    assert find_imports("def f():\n    import pkg.a\n", "x.py", "Python") == []
    assert find_imports("import pandas from 'pandas'\n", "x.js", "JavaScript") == []
    assert find_imports("whatever", "x.hs", "Haskell") == []
