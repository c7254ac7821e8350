"""SentencePiece files of other families: control and user-defined pieces, with and without the implicit space."""

import sys
import unicodedata
from itertools import combinations_with_replacement

import numpy as np
import pytest

from chaku import ChakuError
from chaku.inference.prompts import infill
from chaku.tokens.config import InfillingConfig
from chaku.tokens.infilling import Infiller, infill_text, recover_text
from chaku.tokens.load import load_tokenizer
from tokens.families import TEXT

sentencepiece = pytest.importorskip("sentencepiece")


def train(directory, **changes):
    (directory / "text").write_text(TEXT * 3, encoding="utf-8")
    settings = {
        "model_type": "bpe",
        "vocab_size": 420,
        "byte_fallback": True,
        "normalization_rule_name": "identity",
        "remove_extra_whitespaces": False,
        "allow_whitespace_only_pieces": True,
        "split_digits": True,
        "hard_vocab_limit": False,
        "minloglevel": 2,
    }
    sentencepiece.SentencePieceTrainer.train(
        input=str(directory / "text"), model_prefix=str(directory / "tokenizer"), **{**settings, **changes}
    )
    theirs = sentencepiece.SentencePieceProcessor(model_file=str(directory / "tokenizer.model"))
    return theirs, directory / "tokenizer.model"


CODESTRAL = {"control_symbols": ["[INST]", "[/INST]", "[PREFIX]", "[MIDDLE]", "[SUFFIX]"]}
# Yi-Coder's: no implicit space, names of its own, pieces that are found in a text before anything else.
YI = {
    "add_dummy_prefix": False,
    "bos_piece": "<|startoftext|>",
    "eos_piece": "<|endoftext|>",
    "control_symbols": ["<fim_prefix>", "<fim_middle>", "<fim_suffix>"],
    "user_defined_symbols": ["<|Human|>", "\t\t"],
}
TEXTS = [TEXT, "a", "", " ", "  b", "[PREFIX] <s>", "x<|Human|>y <|Human|>", "\t\t\t", "<|startoftext|>é🙂", "9 12\n\n"]


@pytest.mark.parametrize(("changes", "space"), [(CODESTRAL, True), (YI, False)])
def test_the_same_ids_as_sentencepiece(changes, space, tmp_path):
    theirs, path = train(tmp_path, **changes)
    tokenizer = load_tokenizer(path)
    assert (tokenizer.bos_id, tokenizer.eos_id, tokenizer.implicit_space) == (theirs.bos_id(), theirs.eos_id(), space)
    for text in TEXTS:
        assert tokenizer.encode(text) == theirs.encode(text), text
        assert tokenizer.decode(tokenizer.encode(text)) == text
    special = {number for number in range(theirs.get_piece_size()) if theirs.is_control(number)} | {theirs.unk_id()}
    assert tokenizer.special_ids == special
    tokenizer.save(tmp_path)
    again = load_tokenizer(tmp_path)  # now the tokenizer.json
    assert [again.encode(text) for text in TEXTS] == [tokenizer.encode(text) for text in TEXTS]
    assert (again.begin, again.infilling, again.special_ids) == ([again.bos_id], tokenizer.infilling, special)
    for start in range(0, sys.maxunicode + 1, 200):
        codes = range(start, min(start + 200, sys.maxunicode + 1))
        text = "".join(chr(code) for code in codes if unicodedata.category(chr(code)) != "Cs")
        assert tokenizer.decode(tokenizer.encode(text)) == text


def test_codestral_infills_suffix_first(tmp_path):
    _, path = train(tmp_path, **CODESTRAL)
    tokenizer = load_tokenizer(path)
    prefix, suffix = (tokenizer.pieces.index(name) for name in ("[PREFIX]", "[SUFFIX]"))
    enc, inf = tokenizer.encode, tokenizer.encode_infilling
    assert infill(tokenizer, "def f(", "):\n").ids == (1, suffix, *inf("):\n"), prefix, *enc("def f("))
    with pytest.raises(ChakuError, match="use spm"):
        infill(tokenizer, "a", "b", mode="psm")
    ids = infill_text(tokenizer, "abc def ghi", 3, 7, "spm")
    assert ids == [1, suffix, *inf(" ghi"), prefix, *enc("abc def"), 2]
    assert recover_text(tokenizer, ids) == "abc def ghi"


@pytest.mark.parametrize(("changes", "modes"), [(CODESTRAL, ["spm"]), (YI, ["psm", "spm"])])
def test_splice_equals_full_encoding_at_every_pair_of_cuts(changes, modes, tmp_path):
    _, path = train(tmp_path, **changes)
    tokenizer = load_tokenizer(path)
    assert tokenizer.splits_at_line_breaks
    infiller = Infiller(tokenizer, InfillingConfig(spm_rate=1.0), seed=0)
    for text in (" \n\n x", "a\n\t\t<|Human|>b = 1\n", "é▁🙂\n  return x\n\n"):
        tokens = np.array(tokenizer.encode(text), dtype=np.uint16)
        characters = np.cumsum(tokenizer.num_characters[tokens])
        for first, second in combinations_with_replacement(range(len(text) + 1), 2):
            for mode in modes:
                expected = infill_text(tokenizer, text, first, second, mode)
                assert infiller.splice(tokens, characters, first, second, mode).tolist() == expected
                assert recover_text(tokenizer, expected) == text


def test_other_kinds_are_refused(tmp_path):
    _, path = train(tmp_path, model_type="unigram", vocab_size=330)
    with pytest.raises(ChakuError, match="not a tokenizer of Llama's kind"):
        load_tokenizer(path)
