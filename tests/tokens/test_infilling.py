"""Infilled sequences: the golden form, equality of splice and full encoding, and the document back from each."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chaku.tokens.config import InfillingConfig
from chaku.tokens.infilling import Infiller, infill_text, recover_text
from chaku.tokens.tokenizer_training import train_tokenizer

SAMPLE = "def add(first, second):\n    '''The sum of 12 things.'''\n    return first + second\n\n\nprint(add(1, 2))\n"
TOKENIZER = train_tokenizer([SAMPLE * 2, "class Naïve(Ünïcode): pass  # 漢字\n\tx = y"], 300)
TEXT = st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from(" \n\t▁ab(☺é漢"), max_size=60)
MODE = st.sampled_from(["psm", "spm"])


@settings(deadline=None, max_examples=400)
@given(TEXT, st.integers(0, 60), st.integers(0, 60), MODE)
def test_splice_equals_full_encoding_and_the_document_comes_back(text, first, second, mode):
    first, second = sorted((min(first, len(text)), min(second, len(text))))
    tokens = np.array(TOKENIZER.encode(text), dtype=np.uint16)
    infiller = Infiller(TOKENIZER, InfillingConfig(), seed=0)
    characters = np.cumsum(TOKENIZER.num_characters[tokens])
    expected = infill_text(TOKENIZER, text, first, second, mode)
    assert infiller.splice(tokens, characters, first, second, mode).tolist() == expected
    # PSM with an empty prefix and a middle that begins with a space has the ids of SPM without that space.
    if not (mode == "psm" and first == 0 and text[:second].startswith(" ")):
        assert recover_text(TOKENIZER, expected) == text


@pytest.mark.parametrize("text", [SAMPLE, "\n", "a\nb\n", " \n\n x"])
def test_splice_equals_full_encoding_at_every_pair_of_cuts(text):
    tokens = np.array(TOKENIZER.encode(text), dtype=np.uint16)
    infiller = Infiller(TOKENIZER, InfillingConfig(), seed=0)
    characters = np.cumsum(TOKENIZER.num_characters[tokens])
    for first in range(len(text) + 1):
        for second in range(first, len(text) + 1):
            for mode in ("psm", "spm"):
                expected = infill_text(TOKENIZER, text, first, second, mode)
                assert infiller.splice(tokens, characters, first, second, mode).tolist() == expected


def test_forms():
    ids = [TOKENIZER.prefix_id, TOKENIZER.suffix_id, TOKENIZER.middle_id, TOKENIZER.eot_id]
    pre, suf, mid, eot = ids
    bos, eos, enc, inf = TOKENIZER.bos_id, TOKENIZER.eos_id, TOKENIZER.encode, TOKENIZER.encode_infilling
    psm = infill_text(TOKENIZER, "abc def ghi", 3, 7, "psm")
    assert psm == [bos, pre, *enc("abc"), suf, *inf(" ghi"), mid, *inf(" def"), eot, eos]
    spm = infill_text(TOKENIZER, "abc def ghi", 3, 7, "spm")
    assert spm == [bos, pre, suf, *inf(" ghi"), mid, *enc("abc def"), eot, eos]


def test_rates_and_uniform_cuts():
    infiller = Infiller(TOKENIZER, InfillingConfig(rate=0.9, spm_rate=0.5), seed=3)
    tokens = np.array(TOKENIZER.encode(SAMPLE), dtype=np.uint16)
    modes, seconds = [], []
    for document in range(3000):
        infilled = infiller(tokens, document, epoch=0)
        modes.append(infilled.mode)
        if infilled.mode:
            ids = infilled.ids.tolist()
            suffix = ids[ids.index(TOKENIZER.suffix_id) + 1 : ids.index(TOKENIZER.middle_id)]
            seconds.append(1 - len(TOKENIZER.decode_infilling(suffix)) / len(SAMPLE))
    assert modes.count(None) / 3000 == pytest.approx(0.1, abs=0.02)
    assert modes.count("spm") / 3000 == pytest.approx(0.45, abs=0.03)
    assert np.mean(seconds) == pytest.approx(2 / 3, abs=0.02)  # the larger of two uniform numbers


def test_draws_depend_on_seed_document_and_epoch_alone():
    tokens = np.array(TOKENIZER.encode(SAMPLE), dtype=np.uint16)

    def make(seed, document, epoch):
        return Infiller(TOKENIZER, InfillingConfig(), seed)(tokens, document, epoch).ids.tolist()

    assert make(1, 2, 3) == make(1, 2, 3)
    variants = [make(1, 2, 3), make(2, 2, 3), make(1, 3, 3), make(1, 2, 4)]
    assert len({tuple(variant) for variant in variants}) > 2
