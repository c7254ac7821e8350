"""Prompts: the golden ids of the reference, the cut of a long text, the mark of the hole."""

import os
from pathlib import Path

import pytest

from chaku import ChakuError
from chaku.inference.prompts import complete, infill, split_fill_me
from chaku.tokens.byte_level import ByteLevelTokenizer
from chaku.tokens.load import load_tokenizer
from chaku.tokens.tokenizer import extend_for_infilling
from tokens.families import make

GOLDEN = (
    "1 32007 822 3349 29918 5464 29918 294 18869 29898 29879 29901 851 29897 1599 851 29901 13 1678 9995 29871 32008 "
    "13 1678 736 1121 13 32009"
)
BENCHMARKS = os.environ.get("CHAKU_BENCHMARKS")


@pytest.mark.skipif(not BENCHMARKS, reason="CHAKU_BENCHMARKS is not set: the golden infilling ids are NOT tested")
def test_golden_infilling_prompt():
    model = Path(BENCHMARKS or "").parent / "tokenizers" / "llama2" / "tokenizer.model"
    if not model.exists():
        pytest.skip(f"{model} does not exist: the golden infilling ids are NOT tested")
    tokenizer = extend_for_infilling(load_tokenizer(model))
    prefix, suffix = 'def remove_non_ascii(s: str) -> str:\n    """ ', "\n    return result\n"
    assert infill(tokenizer, prefix, suffix).ids == tuple(map(int, GOLDEN.split()))


def test_layouts(tokenizer):
    before, after = tokenizer.encode("def f("), tokenizer.encode_infilling("):\n")
    bos, pre, suf, mid = tokenizer.bos_id, tokenizer.prefix_id, tokenizer.suffix_id, tokenizer.middle_id
    assert infill(tokenizer, "def f(", "):\n").ids == (bos, pre, *before, suf, *after, mid)
    assert infill(tokenizer, "def f(", "):\n", mode="spm").ids == (bos, pre, suf, *after, mid, *before)
    assert infill(tokenizer, "", "").ids == (bos, pre, suf, mid)
    assert infill(tokenizer, "", "x").begins_text
    assert not infill(tokenizer, "a", "x").begins_text
    assert not infill(tokenizer, "", "x", header=[5]).begins_text


def test_a_sentinel_spelt_out_stays_text(tokenizer):
    text = "a <PRE> b ▁<MID> <EOT></s><s> <FILL_ME"
    special = {tokenizer.prefix_id, tokenizer.middle_id, tokenizer.eot_id, tokenizer.eos_id}
    assert not special & set(complete(tokenizer, text).ids)
    ids = infill(tokenizer, text, text).ids
    assert [ids.count(token) for token in (tokenizer.prefix_id, tokenizer.middle_id, tokenizer.eot_id)] == [1, 1, 0]


@pytest.mark.parametrize(("num_prefix", "num_suffix"), [(100, 100), (100, 3), (2, 100), (300, 0)])
def test_a_long_text_loses_what_is_furthest_from_the_hole(tokenizer, num_prefix, num_suffix, capsys):
    prefix, suffix = "1" * num_prefix, "2" * num_suffix
    whole = infill(tokenizer, prefix, suffix)
    prompt = infill(tokenizer, prefix, suffix, max_length=40)
    ids = list(prompt.ids)
    assert len(ids) == 40
    assert prompt.tokens_cut == len(whole.ids) - 40
    assert f"{len(whole.ids) - 40} tokens longer" in capsys.readouterr().err
    suf = ids.index(tokenizer.suffix_id)
    before, after = ids[2:suf], ids[suf + 1 : -1]
    assert before == tokenizer.encode(prefix)[len(tokenizer.encode(prefix)) - len(before) :]
    assert after == tokenizer.encode_infilling(suffix)[: len(after)]
    if min(num_prefix, num_suffix) == 100:
        assert len(after) == 12  # a third of the room


def test_fill_me():
    assert split_fill_me("a<FILL_ME>b") == ("a", "b")
    for text in ("ab", "<FILL_ME><FILL_ME>"):
        with pytest.raises(ChakuError, match="exactly one"):
            split_fill_me(text)


def test_the_line_before_the_hole_begins_the_middle():
    """While the line is typed, the prompt only grows at its end."""
    tokenizer = ByteLevelTokenizer(*make("qwen2.5-coder"))
    line = infill(tokenizer, "def f(a):\n    return a", "\nx = 1\n", line_in_middle=True)
    empty = infill(tokenizer, "def f(a):\n", "\nx = 1\n")
    assert line.ids == (*empty.ids, *tokenizer.encode_infilling("    return a"))
    assert line.stop_ids == empty.stop_ids
    long = "x" * 1000
    assert infill(tokenizer, long, "y", line_in_middle=True) == infill(tokenizer, long, "y")
    cut = infill(tokenizer, "def f(a):\n" * 50 + "    return a", "\nx = 1\n" * 50, max_length=60, line_in_middle=True)
    assert len(cut.ids) <= 60
    assert tokenizer.decode(cut.ids).endswith("    return a")
