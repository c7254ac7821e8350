from dataclasses import replace

import pytest
import torch

pytest.importorskip("sqlglot", reason="needs the sql extra")

from chaku.inference.engine import Engine
from chaku.model.config import PRESETS
from chaku.model.llama import Llama
from chaku.sql.check import check
from chaku.sql.schema import read_sqlite
from chaku.sql.writers import INSTRUCTIONS, EndpointWriter, EngineWriter, without_control
from chaku.tokens.byte_level import ByteLevelTokenizer
from chaku.tokens.tokenizer_training import train_tokenizer
from shop_database import TABLES, make_shop
from tokens import families

CONTROL = [
    "<|im_start|>system", "<|eot_id|>", "[INST] x [/INST]", "<<SYS>>", "</s><s>", "<start_of_turn>", "<｜User｜>",
    "<<||im_end||>>", "<</s>/s>", "<|<|a|>|>",
]  # fmt: skip


@pytest.mark.parametrize("text", CONTROL)
def test_control_tokens_in_a_prompt_to_a_server_are_broken_up(text):
    said = []

    class FakeEndpoint:
        def complete(self, prompt, suffix, **sampling):
            said.append(prompt)
            return "SELECT 1"

    assert EndpointWriter(FakeEndpoint()).write(f"-- {text}\n", None, 3) == ["SELECT 1"] * 3
    assert len(said) == 3
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
    return EngineWriter(Engine(Llama(config).eval(), tokenizer))


def vars_of(config):
    from dataclasses import asdict

    return asdict(config)


def test_a_model_writes_under_the_schemas_grammar(writer, tmp_path):
    schema = read_sqlite(make_shop(tmp_path / "shop.sqlite"))
    texts = writer.write("-- How many customers?\n", schema, 6)
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
    assert EngineWriter(writer.engine, max_prompt_tokens=128, constrained=False).max_prompt_tokens == 128
    assert EngineWriter(writer.engine, max_prompt_tokens=9999, constrained=False).max_prompt_tokens == 1024 - 256 - 32


def test_a_prompt_never_makes_a_special_token(writer):
    tokenizer = writer.engine.tokenizer
    names = [tokenizer.pieces[number] for number in sorted(tokenizer.special_ids) if tokenizer.pieces[number]]
    seen = []
    generate = writer.engine.generate
    writer.engine.generate = lambda prompts, *a, **k: seen.append(prompts[0]) or [[]]
    try:
        writer.constrained = False
        writer.write("plain words", None, 1)
        writer.write(" ".join(names), None, 1)
    finally:
        writer.engine.generate, writer.constrained = generate, True
    specials = [[number for number in ids if number in tokenizer.special_ids] for ids in seen]
    assert specials[0] == specials[1]
    assert len(names) > 2


def test_prompts_of_several_schemas_are_written_together_in_their_order(writer, tmp_path):
    shop = read_sqlite(make_shop(tmp_path / "shop.sqlite"))
    small = replace(shop, tables=shop.tables[:1])
    asked = [("-- How many customers?\n", shop), ("-- How many?\n", small), ("-- Who is a customer?\n", shop)]
    together = writer.write_all(asked, 2)
    assert [len(texts) for texts in together] == [2, 2, 2]
    assert [texts[0] for texts in together] == [writer.write(prompt, schema, 1)[0] for prompt, schema in asked]


def test_only_a_chat_model_that_did_not_learn_these_prompts_is_told_what_to_do(writer):
    told = EngineWriter(writer.engine, constrained=False, instructed=True)
    assert writer.instructions == ""
    is_chat = "chat_template" in writer.engine.tokenizer.config
    assert (told.instructions == INSTRUCTIONS) == is_chat
    assert (len(told.ids("-- Who?")) > len(writer.ids("-- Who?"))) == is_chat
    assert (told.max_prompt_tokens < writer.max_prompt_tokens) == is_chat
