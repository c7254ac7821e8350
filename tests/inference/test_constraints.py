"""Decoding under a grammar, with SentencePiece's kind of vocabulary and with a byte-level one."""

from dataclasses import replace

import pytest
import torch

pytest.importorskip("llguidance", reason="needs the sql extra")

from chaku import ChakuError
from chaku.inference.constraints import Constraint, Vocabulary, forbidden_tokens
from chaku.inference.engine import Engine
from chaku.inference.generator import Request, SamplingParams, TextPrompt
from chaku.inference.prompts import Prompt, complete
from chaku.model.config import PRESETS
from chaku.model.llama import Llama
from chaku.tokens.byte_level import ByteLevelTokenizer
from tokens import families

# Words of a, b and ☺ between brackets: one token may end inside the sign, another go over a bracket.
GRAMMAR = 'start: " "? "[" WORD ("," WORD)* "]"\nWORD: /[ab☺]{1,4}/'


def is_text_of_grammar(text):
    inside = text.removeprefix(" ")
    words = inside[1:-1].split(",")
    return inside[:1] == "[" and inside[-1:] == "]" and all(1 <= len(w) <= 4 and set(w) <= set("ab☺") for w in words)


@pytest.fixture(scope="module", params=["sentencepiece", "byte-level"])
def any_engine(request, tokenizer):
    if request.param == "byte-level":
        tokenizer = ByteLevelTokenizer(*families.make("llama-3"))
    torch.manual_seed(2)
    config = replace(PRESETS["tiny"], eos_token_id=tokenizer.eos_id)
    return Engine(Llama(config).eval(), tokenizer, batch_size=8)


def test_what_stops_is_a_text_of_the_grammar_and_what_does_not_is_its_beginning(any_engine):
    constraint = Constraint(Vocabulary(any_engine.tokenizer), GRAMMAR)
    params = SamplingParams(max_tokens=40, temperature=1.0, num_samples=12, seed=1)
    prompts = [complete(any_engine.tokenizer, text) for text in ("x", "print(")]
    done = [score for row in any_engine.generate(prompts, params, grammar=GRAMMAR) for score in row]
    stopped = [completion for completion in done if completion.finish_reason == "stop"]
    assert stopped
    assert len({completion.text for completion in done}) > 1
    for completion in stopped:
        assert is_text_of_grammar(completion.text), completion.text
        assert completion.ids[-1] == any_engine.tokenizer.eos_id
        assert constraint.accepts(completion.ids[:-1])
    for completion in done:
        assert set(completion.text) <= set(" [],ab☺�")


def test_greedy_takes_the_likeliest_token_that_the_grammar_allows(any_engine):
    tokenizer = any_engine.tokenizer
    grammar = 'start: " "? ("for" | "def") "x"*'
    prompt = complete(tokenizer, "y")
    [[completion]] = any_engine.generate([prompt], SamplingParams(max_tokens=6), grammar=grammar)
    matcher = Constraint(Vocabulary(tokenizer), grammar)._matcher
    with torch.no_grad():
        for at, token in enumerate(completion.ids):
            allowed = [number for number, byte in enumerate(matcher.compute_logit_bias()) if byte]
            ids = torch.tensor([[*prompt.ids, *completion.ids[:at]]])
            scores = any_engine.model(ids)[0, -1, : tokenizer.vocab_size]
            assert scores[token] >= scores[allowed].max() - 1e-4
            matcher.consume_token(token)


def test_samples_under_a_grammar_do_not_depend_on_the_batch(any_engine):
    params = SamplingParams(max_tokens=20, temperature=1.0, num_samples=3, seed=4)
    prompts = [complete(any_engine.tokenizer, text) for text in ("x", "for x in", "y = ")]
    together = any_engine.generate(prompts, params, grammar=GRAMMAR)
    alone = [any_engine.generate([prompt], params, grammar=GRAMMAR)[0] for prompt in prompts]
    [prompt] = prompts[:1]
    assert "".join(any_engine.stream(prompt, params, grammar=GRAMMAR)) == together[0][0].text
    assert together == alone


def test_prompts_decoded_together_may_have_grammars_of_their_own(any_engine):
    grammars = [GRAMMAR, 'start: "x"+', 'start: " "? "(" /[yz]*/ ")"']
    params = SamplingParams(max_tokens=20, temperature=1.0, num_samples=3, seed=4)
    prompts = [complete(any_engine.tokenizer, text) for text in ("x", "for x in range(10):", "y = ")]
    together = any_engine.generate(prompts, params, grammar=grammars)
    alone = [
        any_engine.generate([prompt], params, grammar=own)[0] for prompt, own in zip(prompts, grammars, strict=True)
    ]
    assert together == alone
    assert all(set(completion.text) <= set("x") for completion in together[1])


def test_no_special_token_is_ever_allowed_but_those_that_end_a_text(any_engine):
    tokenizer = any_engine.tokenizer
    constraint = Constraint(Vocabulary(tokenizer), r"start: /(?s:.)*/")
    allowed = ~forbidden_tokens(constraint.vocabulary, [constraint.matcher()])[0]
    assert {number for number in tokenizer.special_ids if allowed[number]} == {tokenizer.eos_id}
    assert allowed.sum() > 100


def test_a_token_that_ends_a_reply_ends_the_text_where_the_grammar_may_end(any_engine):
    tokenizer = any_engine.tokenizer
    other = next(number for number in tokenizer.special_ids if number not in (tokenizer.eos_id, tokenizer.bos_id))
    vocabulary = Vocabulary(tokenizer, [other])
    assert vocabulary.end_ids == sorted({tokenizer.eos_id, other})
    matcher = Constraint(vocabulary, 'start: "a"').matcher()
    assert forbidden_tokens(vocabulary, [matcher])[0, other]
    matcher.consume_tokens(tokenizer.encode_infilling("a"))
    assert set((~forbidden_tokens(vocabulary, [matcher])[0]).nonzero()[0].tolist()) == set(vocabulary.end_ids)


def test_a_broken_grammar_and_healing_are_refused(any_engine):
    vocabulary = Vocabulary(any_engine.tokenizer)
    with pytest.raises(ChakuError, match="llguidance refuses the grammar"):
        Constraint(vocabulary, "start: (")
    with pytest.raises(ChakuError, match="healing"):
        any_engine.generate([Prompt((1,))], SamplingParams(max_tokens=9, healing=True), grammar=GRAMMAR)


def test_free_and_constrained_requests_are_answered_together(any_engine):
    params = SamplingParams(max_tokens=12)
    requests = [Request(TextPrompt("x"), params, grammar=grammar) for grammar in (None, GRAMMAR, None, 'start: "x"+')]
    together = any_engine.answer(requests)
    assert together == [any_engine.answer([request])[0] for request in requests]
    assert together[0] == together[2] != together[1]
