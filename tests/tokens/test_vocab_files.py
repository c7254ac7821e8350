"""vocab.json and merges.txt, as older checkpoints have them, encode as transformers' classes for them do."""

import json

import pytest

from chaku import ChakuError
from chaku.tokens.load import load_tokenizer

TEXTS = [
    "def add(a, b):\n    return a + b  # 1234 über\n\n\n",
    "it's  two\t\tspaces 汉字 x=10",
    "",
    "<|endoftext|>",
    "e\u0301",
]


def write_files(directory, tokenizer_class, **config):
    import tokenizers

    trained = tokenizers.ByteLevelBPETokenizer()
    trained.train_from_iterator(TEXTS * 20, vocab_size=400, min_frequency=1, special_tokens=["<|endoftext|>"])
    trained.save_model(str(directory))
    fields = {"tokenizer_class": tokenizer_class, **config}
    (directory / "tokenizer_config.json").write_text(json.dumps(fields))
    (directory / "special_tokens_map.json").write_text(
        json.dumps({"bos_token": "<|endoftext|>", "eos_token": {"content": "<|endoftext|>"}})
    )


@pytest.mark.parametrize("name", ["GPT2Tokenizer", "Qwen2Tokenizer"])
def test_ids_are_those_of_transformers(name, tmp_path):
    import transformers

    write_files(tmp_path, name)
    theirs = getattr(transformers, name).from_pretrained(tmp_path)
    ours = load_tokenizer(tmp_path)
    for text in TEXTS:
        if "<|" not in text:  # what is spelt like a special token is text here
            assert ours.encode(text) == theirs(text, add_special_tokens=False)["input_ids"], text
    assert ours.eos_id == theirs.convert_tokens_to_ids("<|endoftext|>")
    ours.save(tmp_path / "saved")
    again = load_tokenizer(tmp_path / "saved")
    assert [again.encode(text) for text in TEXTS] == [ours.encode(text) for text in TEXTS]


def test_added_tokens_have_their_ids(tmp_path):
    write_files(tmp_path, "Qwen2Tokenizer")
    number = max(json.loads((tmp_path / "vocab.json").read_text()).values()) + 1
    (tmp_path / "added_tokens.json").write_text(json.dumps({"<|im_end|>": number}))
    tokenizer = load_tokenizer(tmp_path)
    assert tokenizer.pieces[number] == "<|im_end|>"
    assert number in tokenizer.special_ids


def test_what_the_files_do_not_say_is_said(tmp_path):
    write_files(tmp_path, "OtherTokenizer")
    with pytest.raises(ChakuError, match=r"is not one that chaku knows \(GPT2Tokenizer, Qwen2Tokenizer\)"):
        load_tokenizer(tmp_path)
    write_files(tmp_path, "GPT2Tokenizer")
    with (tmp_path / "merges.txt").open("a") as file:
        file.write("zz yy\n")
    with pytest.raises(ChakuError, match=r"the merge 'zz yy' needs pieces that vocab.json lacks"):
        load_tokenizer(tmp_path)
