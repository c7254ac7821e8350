"""Every text comes back, no text makes a special token, and other libraries read the same ids."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chaku import ChakuError
from chaku.tokens.load import load_tokenizer
from chaku.tokens.tokenizer import SENTINELS, extend_for_infilling
from chaku.tokens.tokenizer_training import train_tokenizer

TRAINED = train_tokenizer(
    ["def main():\n        return 12345\n" * 3, "class A: x == y!\n\n\tfoo_bar = ☺ for else while import"], 310
)
TEXT = st.text(st.characters(exclude_categories=["Cs"]))
NASTY = [
    "",
    " ",
    "  ",
    "\n",
    "<s>",
    "</s>x",
    " <PRE>",
    "▁<PRE>",
    "▁<EOT>",
    "<0x41>",
    "<unk>",
    "a▁b",
    "▁",
    "\x00",
    "🙂\r\n\t x",
]


@settings(deadline=None)
@given(TEXT)
def test_round_trip(text):
    assert TRAINED.decode(TRAINED.encode(text)) == text
    assert TRAINED.decode_infilling(TRAINED.encode_infilling(text)) == text


@pytest.mark.parametrize("text", NASTY)
def test_text_never_makes_a_special_token(text):
    for ids in (TRAINED.encode(text), TRAINED.encode_infilling(text)):
        assert not TRAINED.special_ids & set(ids)
    assert TRAINED.decode(TRAINED.encode(text)) == text


def test_layout():
    assert (TRAINED.bos_id, TRAINED.eos_id, TRAINED.vocab_size) == (1, 2, 310)
    assert [TRAINED.pieces[number] for number in range(306, 310)] == list(SENTINELS)
    assert TRAINED.pieces[3 + 65] == "<0x41>"
    for piece in TRAINED.pieces[259:306]:
        assert "\n" not in piece
        assert len(piece) == 1 or not any(character.isdigit() for character in piece)
    assert any(set(piece) == {"▁"} and len(piece) > 2 for piece in TRAINED.pieces), "runs of spaces are pieces"
    assert len(TRAINED.encode("12345")) == 6  # the implicit space and five digits


def test_the_same_texts_give_the_same_tokenizer():
    """In processes of their own, whose hashes differ: these do not choose among equally rare characters."""
    program = (
        "from chaku.tokens.tokenizer_training import train_tokenizer\n"
        "print(train_tokenizer([''.join(map(chr, range(33, 500))) + ' return value' * 9], 300).sha256)"
    )
    hashes = {subprocess.run([sys.executable, "-c", program], capture_output=True, check=True).stdout for _ in range(3)}
    assert len(hashes) == 1


def test_other_libraries_read_the_same_ids(tmp_path):
    from tokenizers import Tokenizer as Theirs
    from transformers import AutoTokenizer

    TRAINED.save(tmp_path)
    theirs = Theirs.from_file(str(tmp_path / "tokenizer.json"))
    theirs.encode_special_tokens = True
    auto = AutoTokenizer.from_pretrained(tmp_path)
    for text in ("def f(x):\n    return x  # é漢\n", "a", "  b", "x = 10\n\n\n"):
        assert theirs.encode(text, add_special_tokens=False).ids == TRAINED.encode(text)
        assert auto(text)["input_ids"] == [1, *TRAINED.encode(text)]
        assert auto.decode(TRAINED.encode(text)) == text
    again = load_tokenizer(tmp_path)
    assert again.sha256 == TRAINED.sha256


def test_mistakes_are_named(tmp_path):
    with pytest.raises(ChakuError, match="does not exist"):
        load_tokenizer(tmp_path)
    (tmp_path / "tokenizer.json").write_text(json.dumps({"model": {"type": "WordPiece"}}))
    with pytest.raises(ChakuError, match="neither a Llama tokenizer"):
        load_tokenizer(tmp_path)
    (tmp_path / "tokenizer.model").write_bytes(b"garbage")
    with pytest.raises(ChakuError, match="not a SentencePiece model"):
        load_tokenizer(tmp_path / "tokenizer.model")
    with pytest.raises(ChakuError, match="too small"):
        train_tokenizer(["a"], 100)
    with pytest.raises(ChakuError, match="fill a vocabulary of only"):
        train_tokenizer(["a"], 1000)


@pytest.fixture(scope="module")
def llama2():
    path = Path(os.environ.get("CHAKU_BENCHMARKS", "/nowhere")) / "../tokenizers/llama2/tokenizer.model"
    path = Path(os.environ.get("CHAKU_LLAMA2_TOKENIZER", path))
    if not path.is_file():
        pytest.skip("Llama 2's tokenizer.model is not here; name it in CHAKU_LLAMA2_TOKENIZER")
    return path


def test_llama2_and_the_golden_infilling_ids(llama2):
    import sentencepiece

    theirs = sentencepiece.SentencePieceProcessor(model_file=str(llama2))
    code = extend_for_infilling(load_tokenizer(llama2))
    assert code.vocab_size == 32016
    assert (code.prefix_id, code.suffix_id, code.middle_id, code.eot_id) == (32007, 32008, 32009, 32010)
    assert [code.pieces[number] for number in (32000, 32006, 32015)] == ["▁<SU", "▁<EOT", "▁<EOT>" + "<EOT>" * 5]
    source = Path(__file__).read_text(encoding="utf-8").replace("▁", "")
    for text in [source, *NASTY]:
        if "▁" not in text:
            assert code.encode(text) == theirs.encode(text)
            assert code.encode_infilling(text) == theirs.encode("☺" + text)[2:]
        assert code.decode(code.encode(text)) == text
    prefix, suffix = 'def remove_non_ascii(s: str) -> str:\n    """ ', "\n    return result\n"
    golden = (
        "1 32007 822 3349 29918 5464 29918 294 18869 29898 29879 29901 851 29897 1599 851 29901 13 1678 9995 29871 "
        "32008 13 1678 736 1121 13 32009"
    )
    ids = [1, 32007, *code.encode(prefix), 32008, *code.encode_infilling(suffix), 32009]
    assert ids == [int(part) for part in golden.split()]


def test_code_llamas_own_file_is_llama2s_extended(llama2, tmp_path):
    """Meta's tokenizer.model has the 16 pieces as ordinary ones, which a text could spell; here none can."""
    protobuf = pytest.importorskip("sentencepiece.sentencepiece_model_pb2")
    extended = extend_for_infilling(load_tokenizer(llama2))
    model = protobuf.ModelProto()
    model.ParseFromString(llama2.read_bytes())
    for number in range(32_000, 32_016):
        model.pieces.add(piece=extended.pieces[number], score=-float(number), type=1)
    (tmp_path / "tokenizer.model").write_bytes(model.SerializeToString())
    code = load_tokenizer(tmp_path)
    assert (code.prefix_id, code.suffix_id, code.middle_id, code.eot_id) == (32007, 32008, 32009, 32010)
    texts = [Path(__file__).read_text(encoding="utf-8"), *NASTY, "a <PRE> b <SUF>c <MID> <EOT><EOT> <SU", "x <EOT>" * 9]
    for text in texts:
        assert code.encode(text) == extended.encode(text)
        assert code.encode_infilling(text) == extended.encode_infilling(text)


def test_a_written_sentencepiece_model_has_the_same_ids(llama2, tmp_path):
    import sentencepiece

    from chaku.tokens.sentencepiece import write_sentencepiece

    source = Path(__file__).read_text(encoding="utf-8").replace("▁", "")
    for tokenizer in (TRAINED, extend_for_infilling(load_tokenizer(llama2))):
        write_sentencepiece(tokenizer, tmp_path / "tokenizer.model")
        theirs = sentencepiece.SentencePieceProcessor(model_file=str(tmp_path / "tokenizer.model"))
        assert theirs.piece_to_id("▁<MID>") == tokenizer.middle_id
        for text in (source, "12 345", "  é漢🙂\n\n\tx"):
            assert theirs.encode(text) == tokenizer.encode(text)
        assert load_tokenizer(tmp_path).encode(source) == tokenizer.encode(source)
