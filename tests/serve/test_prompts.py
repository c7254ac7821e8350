"""A hole in a file becomes ids, never text; a raw prompt is a hole only where all of it is a template of the model."""

import pytest

from chaku.inference.generator import InfillPrompt, RepositoryFile, TextPrompt
from chaku.serve.prompts import hole, raw
from chaku.tokens.byte_level import ByteLevelTokenizer
from chaku.tokens.tokenizer import Tokenizer
from tokens import families

PREFIX, SUFFIX = "def f(x):\n    ", "\n    return y\n"
HOLE = InfillPrompt(PREFIX, SUFFIX, window=True)


@pytest.fixture(params=["code-llama", "qwen2.5-coder", "deepseek-coder", "granite-code"])
def family(request, engine):
    if request.param == "code-llama":
        return request.param, engine.tokenizer
    return request.param, ByteLevelTokenizer(*families.make(request.param))


TEMPLATES = {  # as Continue, minuet and Ollama's templates write them
    "code-llama": f"<PRE> {PREFIX} <SUF>{SUFFIX} <MID>",
    "qwen2.5-coder": f"<|fim_prefix|>{PREFIX}<|fim_suffix|>{SUFFIX}<|fim_middle|>",
    "deepseek-coder": f"<｜fim▁begin｜>{PREFIX}<｜fim▁hole｜>{SUFFIX}<｜fim▁end｜>",
    "granite-code": f"<fim_prefix>{PREFIX}<fim_suffix>{SUFFIX}<fim_middle>",
}


def test_a_template_is_a_hole_only_for_the_model_of_its_family(family):
    name, tokenizer = family
    for of, text in TEMPLATES.items():
        assert raw(tokenizer, text) == (HOLE if of == name else TextPrompt(text))


def test_what_is_not_all_of_a_template_is_text(family):
    name, tokenizer = family
    text = TEMPLATES[name]
    middle = text[len(text) - len(text.split(SUFFIX)[1]) :]
    for other in (
        f"Complete this:\n{text}",  # something before it
        f"{text}x" if name in ("qwen2.5-coder", "deepseek-coder") else f"x{text}",  # after it is SPM's prefix elsewhere
        text.replace(PREFIX, PREFIX + middle.strip()),  # a name once more, typed in code
        text.removesuffix(middle),
        PREFIX,
        "",
    ):
        assert raw(tokenizer, other) == TextPrompt(other)


def test_templates_that_begin_with_the_suffix(engine):
    assert raw(engine.tokenizer, f"<PRE> <SUF>{SUFFIX} <MID> {PREFIX}") == HOLE
    granite = ByteLevelTokenizer(*families.make("granite-code"))
    assert raw(granite, f"<fim_prefix><fim_suffix>{SUFFIX}<fim_middle>{PREFIX}") == HOLE
    codestral = codestral_tokenizer(engine.tokenizer)
    text = f"[SUFFIX]{SUFFIX}[PREFIX]{PREFIX}"
    assert raw(codestral, text) == HOLE
    assert raw(codestral, TEMPLATES["code-llama"]) == TextPrompt(TEMPLATES["code-llama"])


def codestral_tokenizer(tokenizer):
    """The same pieces with Codestral's two tokens instead of Code Llama's."""
    named = {"▁<PRE>": "[PREFIX]", "▁<SUF>": "[SUFFIX]"}
    added = [
        {**token, "content": named.get(token["content"], token["content"])}
        for token in tokenizer.definition["added_tokens"]
        if token["content"] not in ("▁<MID>", "▁<EOT>")
    ]
    vocab = {
        named.get(piece, piece): number
        for piece, number in tokenizer.definition["model"]["vocab"].items()
        if piece not in ("▁<MID>", "▁<EOT>")
    }
    model = {**tokenizer.definition["model"], "vocab": vocab}
    return Tokenizer({**tokenizer.definition, "added_tokens": added, "model": model}, tokenizer.config)


def test_a_template_with_other_files(qwen):
    text = (
        "<|repo_name|>shop\n<|file_sep|>a.py\nA = 1\n<|file_sep|>src/b.py\n"
        f"<|fim_prefix|>{PREFIX}<|fim_suffix|>{SUFFIX}<|fim_middle|>"
    )
    file = RepositoryFile("shop", "src/b.py", (("a.py", "A = 1\n"),))
    assert raw(qwen.tokenizer, text) == InfillPrompt(PREFIX, SUFFIX, file=file, window=True)
    for part in ("<|repo_name|>shop\n", "src/b.py\n", "<|file_sep|>a.py\nA = 1\n<|file_sep|>src/b.py\n"):
        broken = text.replace(part, "")
        assert raw(qwen.tokenizer, broken) == TextPrompt(broken)


def test_a_hole_with_other_files(qwen, engine):
    others = [("a.py", "A = 1\n"), ("db/b.sql", "SELECT 1"), ("c.ts", "let c;\n\n")]
    file = RepositoryFile("myproject", "filename", tuple(others))
    assert hole(qwen.tokenizer, PREFIX, SUFFIX, others) == InfillPrompt(PREFIX, SUFFIX, file=file, window=True)
    named = hole(qwen.tokenizer, PREFIX, SUFFIX, others, "shop", "src/b.py")
    assert (named.file.repository, named.file.path) == ("shop", "src/b.py")
    # Code Llama has no tokens for files.
    before = "# a.py\nA = 1\n\n-- db/b.sql\nSELECT 1\n\n// c.ts\nlet c;\n\n"
    assert hole(engine.tokenizer, PREFIX, SUFFIX, others) == InfillPrompt(before + PREFIX, SUFFIX, window=True)
    here = hole(engine.tokenizer, PREFIX, SUFFIX, others, "shop", "src/b.py")
    assert here.prefix == before + "# src/b.py\n" + PREFIX
    assert hole(engine.tokenizer, PREFIX, SUFFIX) == HOLE


def test_a_model_that_cannot_infill_goes_on_from_the_prefix():
    llama = ByteLevelTokenizer(*families.make("llama-3"))
    assert hole(llama, PREFIX, "") == TextPrompt(PREFIX)
    assert hole(llama, PREFIX, SUFFIX) == HOLE  # which the engine refuses
    assert raw(llama, TEMPLATES["qwen2.5-coder"]) == TextPrompt(TEMPLATES["qwen2.5-coder"])
