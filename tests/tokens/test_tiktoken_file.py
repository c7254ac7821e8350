"""Llama 3's tokenizer.model: the ids of the byte-level tokenizer that its ranks were taken from."""

import base64

import pytest

from chaku import ChakuError
from chaku.tokens.byte_level import BYTE_NAMES, ByteLevelTokenizer
from chaku.tokens.load import load_tokenizer
from tokens.families import TEXT, make

BYTES = {name: byte for byte, name in BYTE_NAMES.items()}


@pytest.fixture
def ranked(tmp_path):
    """A small Llama 3 tokenizer, and its tokens and ranks in a file."""
    original = ByteLevelTokenizer(*make("llama-3"))
    vocab = original.definition["model"]["vocab"]
    lines = [
        base64.b64encode(bytes(BYTES[character] for character in piece)) + b" %d" % rank
        for piece, rank in sorted(vocab.items(), key=lambda item: item[1])
    ]
    (tmp_path / "tokenizer.model").write_bytes(b"\n".join(lines) + b"\n")
    return original, tmp_path


def test_the_same_ids(ranked):
    original, directory = ranked
    loaded = load_tokenizer(directory)
    num_ranked = len(original.definition["model"]["vocab"])
    assert loaded.vocab_size == num_ranked + 256
    for text in (TEXT, "a", " 1234567 ", "é漢🙂\r\n\n  x", "it's WE'LL", "\x00<|begin_of_text|>"):
        assert loaded.encode(text) == original.encode(text), text
        assert loaded.decode(loaded.encode(text)) == text
    assert (loaded.bos_id, loaded.eos_id, loaded.begin) == (num_ranked, num_ranked + 1, [num_ranked])
    names = {loaded.pieces[num_ranked + offset]: offset for offset in (6, 7, 9)}  # Llama 3's release has these ids
    assert names == {"<|start_header_id|>": 6, "<|end_header_id|>": 7, "<|eot_id|>": 9}
    loaded.save(directory)
    assert load_tokenizer(directory).encode(TEXT) == original.encode(TEXT)


def test_damage_is_named(ranked):
    _, directory = ranked
    path = directory / "tokenizer.model"
    whole = path.read_bytes()
    for damaged in (whole[:-3], b"\n".join(whole.splitlines()[:100]), whole.replace(b" 300\n", b" 30\n")):
        path.write_bytes(damaged)
        with pytest.raises(ChakuError, match="not a complete list of tokens and ranks"):
            load_tokenizer(directory)
