"""Token healing: a prompt cut inside a token goes on with whole tokens; no character comes twice, none is lost."""

import dataclasses

import pytest
import torch

from chaku.inference.engine import Engine
from chaku.inference.generator import SamplingParams
from chaku.inference.healing import Healer
from chaku.inference.prompts import complete, infill
from chaku.inference.scheduler import Job
from chaku.model.config import PRESETS
from chaku.model.llama import Llama
from chaku.tokens.byte_level import ByteLevelTokenizer
from chaku.tokens.tokenizer_training import train_tokenizer
from tokens.families import make

CODE = "def add(a, b):\n    return a + b\n\ndef give(value):\n    return value\n    retry(value)\n"
HEALED = SamplingParams(max_tokens=12, healing=True)


@pytest.fixture(scope="module")
def llama():
    return train_tokenizer([CODE] * 3, 309)


@pytest.fixture(scope="module")
def qwen():
    return ByteLevelTokenizer(*make("qwen2.5-coder"))


def random_engine(tokenizer):
    torch.manual_seed(2)
    config = dataclasses.replace(
        PRESETS["tiny"], vocab_size=tokenizer.vocab_size, max_position_embeddings=128, eos_token_id=tokenizer.eos_id
    )
    return Engine(Llama(config).eval(), tokenizer, batch_size=4)


def asked_to_write(engine, ids):
    """The engine then writes these ids, after checking that each may be written; returns what may come at each step."""
    script, offered = list(ids), []

    def choose(scores, params, uniforms):
        offered.append({number for number, score in enumerate(scores[0].tolist()) if score > float("-inf")})
        assert script[0] in offered[-1]
        return [script.pop(0)]

    engine.sampler = choose
    return offered


def test_half_a_word_becomes_one_token(llama):
    word, prompt = llama.pieces.index("return"), complete(llama, "def retu")
    assert len(llama.encode_infilling("retu")) == 2
    kept, removed = Healer(llama).split(prompt.ids)
    assert (llama.decode_bytes(kept), llama.decode_bytes(removed)) == (b" def ", b"retu")
    engine = random_engine(llama)
    offered = asked_to_write(engine, [word, *llama.encode_infilling(" a"), llama.eos_id])
    [[completion]] = engine.generate([prompt], HEALED)
    assert completion.text == "rn a"
    spelt = {llama.decode_bytes([number]) for number in offered[0]}
    assert all(text.startswith(b"retu") or b"retu".startswith(text) for text in spelt)
    assert len(offered[-1]) == llama.vocab_size  # once the end is spelt again, anything may follow


@pytest.mark.parametrize("family", ["llama", "qwen"])
def test_no_character_twice_and_none_lost_wherever_the_cut_is(family, request):
    """A random model writes anything: the prompt's text and the completion's are what the tokens spell."""
    tokenizer = request.getfixturevalue(family)
    engine, healer = random_engine(tokenizer), Healer(tokenizer)
    prefixes = [CODE[:end] for end in range(0, len(CODE) + 1, 3)]
    for mode in ("complete", "spm"):
        if mode == "spm" and "spm" not in tokenizer.infilling.modes:
            continue
        prompts = [
            complete(tokenizer, prefix) if mode == "complete" else infill(tokenizer, prefix, "\n    end\n", mode="spm")
            for prefix in prefixes
        ]
        params = dataclasses.replace(HEALED, temperature=1.0, top_p=0.9)
        healed = 0
        for prompt, prefix, [completion] in zip(prompts, prefixes, engine.generate(prompts, params), strict=True):
            kept, removed_ids = healer.split(prompt.ids)
            removed = tokenizer.decode_bytes(removed_ids)
            healed += bool(removed)
            before = len(tokenizer.decode_bytes(kept))
            spelt = tokenizer.decode_bytes([*kept, *completion.ids])
            end = before + len(removed)
            assert spelt[before:end] == removed, f"the end of {prefix!r} was not written again"
            written = spelt[end:].decode("utf-8", "replace")
            assert completion.text == written or (not prefix and completion.text == written.removeprefix(" "))
        assert healed > 10


def test_what_cannot_go_on_stays(llama):
    healer = Healer(llama)
    psm = list(infill(llama, "def retu", "\n").ids)
    assert healer.split(psm) == (psm, [])  # a mark comes last: the middle begins a text of its own
    line = list(complete(llama, "def add(a, b):\n").ids)
    assert healer.split(line) == (line, [])  # no token goes on from a line break
    assert healer.split([llama.bos_id]) == ([llama.bos_id], [])


def test_a_prompt_that_is_taken_away_whole_begins_as_in_training(qwen):
    prompt = complete(qwen, "de")
    kept, removed = Healer(qwen).split(prompt.ids)
    if removed:
        assert (kept, qwen.decode_bytes(removed)) == ([qwen.bos_id], b"de")
    [[completion]] = random_engine(qwen).generate([prompt], HEALED)
    assert qwen.decode_bytes(completion.ids).startswith(qwen.decode_bytes(removed))


def test_streams_heal_too(llama):
    engine = random_engine(llama)
    prompt = complete(llama, "def give(val")
    [[completion]] = engine.generate([prompt], HEALED)
    assert "".join(engine.stream(prompt, HEALED)) == completion.text
    [[cold]] = engine.generate([prompt], dataclasses.replace(HEALED, healing=False))
    assert cold.ids != completion.ids


def test_samples_do_not_depend_on_the_batch(llama):
    engine = random_engine(llama)
    prompts = [complete(llama, text) for text in ("def retu", "x", "def give(value):\n    ret", "    re", "def ")]
    params = dataclasses.replace(HEALED, temperature=0.8, num_samples=2)
    assert engine.generate(prompts, params) == [engine.generate([prompt], params)[0] for prompt in prompts]


def test_one_step_reaches_the_first_new_text(llama):
    """The removed tokens are guesses: the texts are the same without guesses, and the steps fewer."""
    engine = random_engine(llama)
    params = dataclasses.replace(HEALED, temperature=1.0, max_tokens=4)
    written, steps, right = {}, {}, {}
    for guess in (False, True):
        scheduler = engine.new_scheduler(max_rows=1, guess=guess)
        written[guess], steps[guess], right[guess] = [], 0, 0
        for end in range(1, len(CODE)):
            job = Job(engine.row(complete(llama, CODE[:end]), params), lambda piece: None)
            job.lookup = None  # other guesses
            scheduler.submit(job)
            while scheduler.step():
                steps[guess] += 1
                assert not (guess and job.row.ids and job.row.owed)
            written[guess].append(job.row.completion())
            right[guess] += job.num_right
    assert written[True] == written[False]
    assert right[True] > 5
    assert steps[True] == steps[False] - right[True]


def test_an_indentation_may_go_on_with_a_word_that_has_its_own_space(llama):
    """The last space may become the beginning of a word; the spaces before it stay."""
    kept, removed = Healer(llama).split(complete(llama, "x\n    ").ids)
    assert (llama.decode_bytes([*kept, *removed])).endswith(b"x\n    ")
    assert [llama.decode_bytes([number]) for number in removed][-1] == b" "
    row = random_engine(llama).row(complete(llama, "x\n    "), HEALED)
    for number in removed[:-1]:
        assert number in row.spelling
        row.take(number)
    word = llama.encode_infilling(" return")[0]
    assert llama.decode_bytes([word]).startswith(b" ")
    assert word in row.spelling
