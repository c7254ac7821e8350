"""Other files of a repository stand before the file with the hole, in the layout of the model's family."""

import pytest

from chaku import ChakuError
from chaku.inference.repository import repository_header

OTHERS = (("a.py", "x = 1\n"), ("lib/b.py", "def f():\n    return 2"))


class Pieces:
    """A vocabulary whose texts are tokens."""

    def __init__(self, *pieces):
        self.pieces = pieces

    def encode(self, text):
        return [text]


@pytest.mark.parametrize(("name", "separator"), [("<|repo_name|>", "<|file_sep|>"), ("<repo_name>", "<file_sep>")])
def test_the_published_layouts(name, separator):
    """Qwen2.5-Coder's and StarCoder2's: after its path and a line break each file, whole."""
    ids = repository_header(Pieces(name, separator), "shop", "src/c.py", OTHERS)
    assert ids == [0, "shop\n", 1, "a.py\nx = 1\n", 1, "lib/b.py\ndef f():\n    return 2\n", 1, "src/c.py\n"]


def test_the_first_files_are_left_out_where_there_is_no_room(capsys):
    ids = repository_header(Pieces("<repo_name>", "<file_sep>"), "shop", "src/c.py", OTHERS, max_length=6)
    assert ids == [0, "shop\n", 1, "lib/b.py\ndef f():\n    return 2\n", 1, "src/c.py\n"]
    assert "a.py is left out" in capsys.readouterr().err


def test_a_model_that_knows_no_repositories_is_said():
    with pytest.raises(ChakuError, match="the model cannot read repositories"):
        repository_header(Pieces("a"), "shop", "src/c.py", OTHERS)
