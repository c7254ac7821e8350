"""A tokenizer from a GGUF file's metadata: the ids of the tokenizer that it was made of."""

import json
import unicodedata

import gguf
import pytest
import tokenizers
from tokenizers import pre_tokenizers, trainers

from chaku import ChakuError
from chaku.checkpoint.gguf_vocabulary import add_vocabulary
from chaku.tokens.byte_level import ByteLevelTokenizer, byte_level_definition
from chaku.tokens.chat import Chat, Message
from chaku.tokens.load import load_tokenizer
from chaku.tokens.tokenizer import Tokenizer, extend_for_infilling
from chaku.tokens.tokenizer_training import train_tokenizer
from chaku.tokens.word_splitting import BY_NAME, SPLITTINGS
from gguf_files import change
from tokens.families import FAMILIES, TEXT, make
from tokens.texts import CODE, texts

TEXTS = texts(600)
TOKENIZERS = {name: ByteLevelTokenizer(*make(name)) for name in FAMILIES} | {
    "llama-2": train_tokenizer([TEXT] * 2, 360),
    "code-llama": extend_for_infilling(train_tokenizer([TEXT] * 2, 360)),
}
PRE = "tokenizer.ggml.pre"
UNUSED = TOKENIZERS["qwen2.5-coder"].vocab_size  # the first row that no token has


def write(tokenizer: Tokenizer, path, unused: int = 5):
    """A file with the vocabulary alone; `unused` rows of the embedding have no token."""
    writer = gguf.GGUFWriter(path, "llama")
    add_vocabulary(writer, tokenizer, tokenizer.vocab_size + unused)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.mark.parametrize("name", TOKENIZERS)
def test_every_family_comes_back(name, tmp_path):
    before = TOKENIZERS[name].with_chat_template("{{ bos_token }}{{ messages[0]['content'] }}")
    after = load_tokenizer(write(before, tmp_path / "model.gguf"))
    assert type(after) is type(before)
    for text in TEXTS:
        ids = before.encode(text)
        assert after.encode(text) == ids
        assert after.encode_infilling(text) == before.encode_infilling(text)
        assert after.decode(ids) == before.decode(ids)
    assert (after.pieces, after.special_ids) == (before.pieces, before.special_ids)
    assert (after.bos_id, after.eos_id, after.begin) == (before.bos_id, before.eos_id, before.begin)
    assert (after.infilling, after.implicit_space) == (before.infilling, before.implicit_space)
    assert after.config["chat_template"] == before.config["chat_template"]


@pytest.mark.parametrize("name", TOKENIZERS)
def test_it_is_saved_as_a_tokenizer_that_transformers_opens(name, tmp_path):
    from transformers import AutoTokenizer

    tokenizer = load_tokenizer(write(TOKENIZERS[name], tmp_path / "model.gguf"))
    tokenizer.save(tmp_path / "hf")
    theirs = AutoTokenizer.from_pretrained(tmp_path / "hf")
    again = load_tokenizer(tmp_path / "hf")
    for text in CODE:
        assert theirs.encode(text, add_special_tokens=False) == tokenizer.encode(text) == again.encode(text)
    assert theirs.eos_token_id == tokenizer.eos_id


@pytest.mark.parametrize("name", BY_NAME)
def test_every_way_to_split_words(name, tmp_path):
    """The name brings back the way in which the words were split: a tokenizer of merges across all other words."""
    splitting = BY_NAME[name]
    trained = tokenizers.Tokenizer.from_str(json.dumps(byte_level_definition({}, [], {}, splitting)))
    trainer = trainers.BpeTrainer(
        vocab_size=700,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        special_tokens=["<s>", "</s>"],
        show_progress=False,
    )
    trained.train_from_iterator(TEXTS, trainer)
    model = json.loads(trained.to_str())["model"]
    definition = byte_level_definition(model["vocab"], model["merges"], {"<s>": 0, "</s>": 1}, splitting)
    before = ByteLevelTokenizer(definition, {"bos_token": "<s>", "eos_token": "</s>", "add_bos_token": False})
    path = write(before, tmp_path / "model.gguf")
    written = splitting.names[0]
    assert gguf.GGUFReader(path).fields[PRE].contents() == written
    after = load_tokenizer(change(path, tmp_path / "named.gguf", {PRE: name}))
    assert [after.encode(text) for text in TEXTS] == [before.encode(text) for text in TEXTS]
    if splitting.composes:
        assert after.decode(after.encode("e\u0301")) == "é"


def test_composed_form_belongs_to_qwen_alone():
    assert {splitting.names[0] for splitting in SPLITTINGS if splitting.composes} == {"qwen2"}
    assert unicodedata.normalize("NFC", "e\u0301") == "é"


def test_what_llama_cpp_takes_where_a_file_does_not_say_it(tmp_path, capsys):
    """Llama 3's and Mistral's vocabularies begin a text with BOS; a way to split words is not guessed silently."""
    path = write(TOKENIZERS["llama-3"], tmp_path / "model.gguf")
    without = change(path, tmp_path / "without.gguf", {"tokenizer.ggml.add_bos_token": None})
    assert load_tokenizer(without).begin == TOKENIZERS["llama-3"].begin
    assert not capsys.readouterr().err
    load_tokenizer(change(path, tmp_path / "default.gguf", {PRE: None}))
    assert "does not say how its tokenizer splits words" in capsys.readouterr().err


def test_infilling_tokens_by_number(tmp_path):
    """A family whose names chaku does not know; the tokenizer keeps them when it is saved."""
    path = write(TOKENIZERS["llama-3"], tmp_path / "model.gguf")
    chosen = (100, 101, 102)
    keys = [f"tokenizer.ggml.fim_{key}_token_id" for key in ("pre", "suf", "mid")]
    tokenizer = load_tokenizer(change(path, tmp_path / "fim.gguf", dict(zip(keys, chosen, strict=True))))
    assert (tokenizer.prefix_id, tokenizer.suffix_id, tokenizer.middle_id) == chosen
    assert tokenizer.eot_id == tokenizer.eos_id
    assert {*chosen} <= tokenizer.special_ids
    tokenizer.save(tmp_path / "hf")
    assert load_tokenizer(tmp_path / "hf").infilling == tokenizer.infilling


def test_bos_and_eos_are_special_whatever_their_type_is(tmp_path):
    """Old files have no types at all, and some converters take them for ordinary tokens."""
    for name in ("llama-3", "llama-2"):
        before = TOKENIZERS[name]
        path = write(before, tmp_path / "model.gguf", unused=0)
        types = [1] * before.vocab_size
        after = load_tokenizer(change(path, tmp_path / "changed.gguf", {"tokenizer.ggml.token_type": types}))
        assert (after.begin, after.eos_id) == (before.begin, before.eos_id)
        assert {*after.begin, after.eos_id} <= after.special_ids
        spelt = after.pieces[after.eos_id]
        assert after.eos_id not in after.encode(spelt)
        assert after.decode(after.encode(spelt)) == spelt


def test_a_padding_token_that_is_none_changes_nothing(tmp_path):
    path = write(TOKENIZERS["qwen2.5-coder"], tmp_path / "model.gguf")
    after = load_tokenizer(change(path, tmp_path / "changed.gguf", {"tokenizer.ggml.padding_token_id": 2**32 - 1}))
    assert after.pieces == TOKENIZERS["qwen2.5-coder"].pieces


def test_a_file_chats(tmp_path):
    template = "{% for m in messages %}<|im_start|>{{ m['content'] }}<|im_end|>{% endfor %}<|im_start|>"
    tokenizer = TOKENIZERS["qwen2.5-coder"].with_chat_template(template)
    chat = Chat(load_tokenizer(write(tokenizer, tmp_path / "model.gguf")))
    ids = chat.prompt([Message("user", "def <|im_end|>")])
    assert ids == Chat(tokenizer).prompt([Message("user", "def <|im_end|>")])
    assert tokenizer.pieces[chat.end_id] == "<|im_end|>"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({PRE: "unheard-of"}, r"tokenizer.ggml.pre is 'unheard-of', and chaku knows .*qwen2.* Hugging Face directory"),
        ({"tokenizer.ggml.model": "rwkv"}, "tokenizer.ggml.model is 'rwkv'; chaku reads 'gpt2' .* and 'llama'"),
        ({"tokenizer.ggml.model": None}, "lacks tokenizer.ggml.model"),
        ({"tokenizer.ggml.tokens": None}, "lacks tokenizer.ggml.tokens"),
        ({"tokenizer.ggml.tokens": ["a", "b"]}, r"vocabulary of 2 tokens and \d+ types is damaged"),
        ({"tokenizer.ggml.merges": ["a b"]}, "the merge 'a b' names a token outside the vocabulary"),
        ({"tokenizer.ggml.merges": None}, "lacks tokenizer.ggml.merges"),
        ({"tokenizer.ggml.eos_token_id": 9999}, "eos_token_id is 9999, which is not in its vocabulary"),
        (
            {"tokenizer.ggml.eos_token_id": UNUSED},
            "eos_token_id is \\d+, which is not in its vocabulary",
        ),  # an unused row
        ({"tokenizer.ggml.bos_token_id": None, "tokenizer.ggml.add_bos_token": True}, "there is no BOS token"),
    ],
)
def test_damaged_vocabularies_are_named(changes, message, tmp_path):
    path = write(TOKENIZERS["qwen2.5-coder"], tmp_path / "model.gguf")
    with pytest.raises(ChakuError, match=f"changed.gguf.*{message}"):
        load_tokenizer(change(path, tmp_path / "changed.gguf", changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tokenizer.ggml.scores": None}, "lacks tokenizer.ggml.scores"),
        ({"tokenizer.ggml.scores": [0.0, 1.0]}, r"has 2 scores for \d+ tokens"),
        ({"tokenizer.ggml.bos_token_id": None, "tokenizer.ggml.add_bos_token": False}, "lacks .*bos_token_id"),
    ],
)
def test_damaged_sentencepiece_vocabularies_are_named(changes, message, tmp_path):
    path = write(TOKENIZERS["llama-2"], tmp_path / "model.gguf")
    changed = change(path, tmp_path / "changed.gguf", changes)
    with pytest.raises(ChakuError, match=f"changed.gguf.*{message}"):
        load_tokenizer(changed)


def test_no_two_ways_to_split_words_are_the_same():
    words = [
        tokenizers.Tokenizer.from_str(json.dumps(byte_level_definition({}, [], {}, splitting))).pre_tokenizer
        for splitting in SPLITTINGS
    ]
    split = [tuple(tuple(one.pre_tokenize_str(text)) for text in TEXTS) for one in words]
    assert len(set(split)) == len(SPLITTINGS)
