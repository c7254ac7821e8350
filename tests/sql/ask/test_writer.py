from dataclasses import replace

import pytest
import torch

pytest.importorskip("sqlglot", reason="needs the sql extra")

from chaku.errors import ChakuError
from chaku.inference.endpoint import Endpoint
from chaku.inference.engine import Engine
from chaku.model.config import PRESETS
from chaku.model.llama import Llama
from chaku.sql.ask.writer import INSTRUCTIONS, ModelWriter, without_control
from chaku.sql.execute.check import check
from chaku.sql.schema.definition import read_sqlite
from chaku.tokens.byte_level import ByteLevelTokenizer
from chaku.tokens.tokenizer_training import train_tokenizer
from endpoint_server import running_server
from scripted_engine import ScriptedEngine
from shop_database import TABLES, make_shop
from tokens import families

CONTROL = [
    "<|im_start|>system", "<|eot_id|>", "[INST] x [/INST]", "<<SYS>>", "</s><s>", "<start_of_turn>", "<｜User｜>",
    "<<||im_end||>>", "<</s>/s>", "<|<|a|>|>",
]  # fmt: skip


@pytest.mark.parametrize("text", CONTROL)
def test_control_tokens_in_a_prompt_to_a_server_are_broken_up(text):
    with running_server() as server:
        server.answer = lambda request: {"choices": [{"message": {"content": "SELECT 1"}}]}
        writer = ModelWriter(Endpoint(server.url, "m", chat=True), constrained=True)
        assert writer.write([(f"-- {text}\n", None)], 3) == [["SELECT 1"] * 3]
        said = [request["messages"][0]["content"] for request in server.requests]
    assert len(said) == 3
    assert sorted(request["temperature"] for request in server.requests) == [0.0, 0.8, 0.8]
    assert said[0].startswith(INSTRUCTIONS)
    for mark in ("<|", "|>", "[INST]", "[/INST]", "<<SYS>>", "</s>", "<s>", "<start_of_turn>", "<｜", "｜>"):
        assert mark not in said[0]
    assert without_control("SELECT a < b, c <> d FROM t WHERE x <= y -- 中文 [x]") == (
        "SELECT a < b, c <> d FROM t WHERE x <= y -- 中文 [x]"
    )


@pytest.fixture(scope="module", params=["plain", "chat"])
def writer(request):
    torch.manual_seed(1)
    if request.param == "plain":
        tokenizer = train_tokenizer([TABLES, "SELECT name FROM customers\n" * 9], 400)
    else:
        definition, config = families.make("llama-3")
        template = "{% for m in messages %}<|begin_of_text|>{{ m['content'] }}<|end_of_text|>{% endfor %}"
        tokenizer = ByteLevelTokenizer(definition, {**config, "chat_template": template})
    config = PRESETS["tiny"]
    config = type(config)(**{**vars_of(config), "max_position_embeddings": 1024})
    return ModelWriter(Engine(Llama(config).eval(), tokenizer))


def vars_of(config):
    from dataclasses import asdict

    return asdict(config)


def test_a_model_writes_under_the_schemas_grammar(writer, tmp_path):
    schema = read_sqlite(make_shop(tmp_path / "shop.sqlite"))
    texts = writer.write([("-- How many customers?\n", schema)], 6)[0]
    assert len(texts) == 6
    assert len(set(texts)) > 1
    for text in texts:
        assert text.lstrip()[:6].upper() in ("SELECT", "WITH A"[:4] + text.lstrip()[4:6].upper())
        if text.lstrip()[:4].upper() == "WITH":
            continue  # behind WITH a query makes names of its own, which no grammar can tell from invented ones
        for problem in check(text, schema):  # it may be cut off, or its scopes may not fit; but no name is invented
            assert "there is no table" not in problem.message


def test_a_prompt_has_what_the_context_leaves_or_less(writer):
    assert writer.max_prompt_tokens == 1024 - 256 - 32
    assert ModelWriter(writer.generator, max_prompt_tokens=128, constrained=False).max_prompt_tokens == 128
    assert ModelWriter(writer.generator, max_prompt_tokens=9999, constrained=False).max_prompt_tokens == 1024 - 256 - 32


def test_a_prompt_never_makes_a_special_token(writer):
    tokenizer = writer.generator.tokenizer
    names = [tokenizer.pieces[number] for number in sorted(tokenizer.special_ids) if tokenizer.pieces[number]]
    scripted = ScriptedEngine(writer.generator, lambda request: "")
    free = ModelWriter(scripted, constrained=False)
    free.write([("plain words", None), (" ".join(names), None)], 1)
    seen = [scripted.read(request).ids for request in scripted.requests]
    specials = [[number for number in ids if number in tokenizer.special_ids] for ids in seen]
    assert specials[0] == specials[1]
    assert len(names) > 2


def test_prompts_of_several_schemas_are_written_together_in_their_order(writer, tmp_path):
    shop = read_sqlite(make_shop(tmp_path / "shop.sqlite"))
    small = replace(shop, tables=shop.tables[:1])
    asked = [("-- How many customers?\n", shop), ("-- How many?\n", small), ("-- Who is a customer?\n", shop)]
    together = writer.write(asked, 2)
    assert [len(texts) for texts in together] == [2, 2, 2]
    assert [texts[0] for texts in together] == [writer.write([pair], 1)[0][0] for pair in asked]


def test_only_a_chat_model_that_did_not_learn_these_prompts_is_told_what_to_do(writer):
    scripted = ScriptedEngine(writer.generator, lambda request: "")
    told = ModelWriter(scripted, constrained=False, instructed=True)
    assert writer.instructions == ""
    is_chat = "chat_template" in scripted.tokenizer.config
    assert (told.instructions == INSTRUCTIONS) == is_chat
    for asking in (told, ModelWriter(scripted, constrained=False)):
        asking.write([("-- Who?", None)], 1)
    lengths = [len(scripted.read(request).ids) for request in scripted.requests]
    assert (lengths[0] > lengths[1]) == is_chat
    assert (told.max_prompt_tokens < writer.max_prompt_tokens) == is_chat


def test_a_chat_model_replies_to_a_message_and_another_model_says_that_it_cannot(writer):
    scripted = ScriptedEngine(writer.generator, lambda request: request.prompt.messages[0].content + "!")
    speaking = ModelWriter(scripted)
    if "chat_template" in scripted.tokenizer.config:
        assert speaking.replies()("Say it") == "Say it!"
    else:
        with pytest.raises(ChakuError, match="no chat template, so it cannot answer in words; leave out --words"):
            speaking.replies()
