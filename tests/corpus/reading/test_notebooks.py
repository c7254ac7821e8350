"""Notebooks become programs, cell by cell, without outputs."""

import json

from chaku.corpus.build import build_corpus
from chaku.corpus.reading.notebooks import notebook_program
from chaku.corpus.reading.sources import Source
from chaku.documents import read_documents

CELLS = [
    {"cell_type": "markdown", "source": ["# Sums\n", "\n", "of numbers"]},
    {"cell_type": "code", "source": ["total = 1 + 1\n", "print(total)"], "outputs": [{"text": "2" * 2_000_000}]},
    {"cell_type": "code", "source": ""},
    {"cell_type": "code", "source": "print(total + 1)"},
]
PROGRAM = "# %% [markdown]\n# # Sums\n#\n# of numbers\n\n# %%\ntotal = 1 + 1\nprint(total)\n\n# %%\nprint(total + 1)\n"


def test_cells_in_order_without_outputs():
    notebook = {"cells": CELLS, "metadata": {"language_info": {"name": "python"}}, "nbformat": 4}
    assert notebook_program(json.dumps(notebook)) == (PROGRAM, "Python")
    old = {"worksheets": [{"cells": [{"cell_type": "code", "input": "x = 1"}]}], "nbformat": 3}
    assert notebook_program(json.dumps(old)) == ("# %%\nx = 1\n", "Python")
    typed = {
        "cells": [{"cell_type": "code", "source": "let x = 1"}],
        "metadata": {"kernelspec": {"language": "typescript"}},
    }
    assert notebook_program(json.dumps(typed)) == ("// %%\nlet x = 1\n", "TypeScript")


def test_what_is_no_notebook():
    for text in (
        "",
        "[]",
        "{}",
        '{"cells": 3}',
        '{"cells": [3]}',
        '{"cells": []}',
        '{"worksheets": [1]}',
        "[" * 99_999,
    ):
        assert notebook_program(text) is None


def test_a_notebook_in_a_corpus(tmp_path):
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "sums.ipynb").write_text(json.dumps({"cells": CELLS}))  # over the limit of a file, but its program is not
    (tree / "broken.ipynb").write_text("{" * 60)
    summary = build_corpus([Source("tree", "tree", str(tree))], tmp_path / "out", heldout_fraction=0)
    [document] = read_documents(tmp_path / "out", "train")
    assert (document.text, document.language, document.kind) == (PROGRAM, "Python", "code")
    assert [row["reason"] for row in summary["dropped"]] == ["not a notebook"]
