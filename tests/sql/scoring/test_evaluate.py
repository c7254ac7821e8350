import json
from dataclasses import replace

import pytest
import torch

from chaku.inference.engine import Engine
from chaku.model.config import PRESETS
from chaku.model.llama import Llama
from chaku.sql.scoring.evaluate import evaluate
from chaku.sql.training.example_prompts import PromptSettings
from chaku.synthetic.shop import write_shop
from chaku.tokens.tokenizer_training import train_tokenizer
from scripted_engine import ScriptedEngine

SETTINGS = PromptSettings("compact", 800)


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shop") / "shop"
    write_shop(folder, num_train=50, num_dev=20)
    return folder


@pytest.fixture(scope="module")
def engine(shop):
    tokenizer = train_tokenizer([(shop / "train.jsonl").read_text()] * 3, 500)
    torch.manual_seed(0)
    return Engine(Llama(replace(PRESETS["tiny"], max_position_embeddings=1024)).eval(), tokenizer)


def test_a_model_that_has_not_learnt_scores_nothing(engine, shop):
    result = evaluate(engine, shop / "dev.jsonl", shop, settings=SETTINGS, limit=4, max_tokens=8)
    assert result["ex"] == 0.0
    assert result["counts"]["questions"] == 4
    assert len(result["samples"]) == 3


def test_a_model_that_knows_the_answers_scores_all(engine, shop):
    gold = [json.loads(line)["query"] for line in (shop / "dev.jsonl").read_text().splitlines()]

    questions = [json.loads(line)["question"] for line in (shop / "dev.jsonl").read_text().splitlines()]

    def knows(request):
        asked = request.prompt.text.strip().rsplit("-- ", 1)[1]
        return f"Of course:\n```sql\n{gold[questions.index(asked)]};\n```"

    knowing = ScriptedEngine(engine, knows)
    result = evaluate(knowing, shop / "dev.jsonl", shop, settings=SETTINGS)
    assert result["ex"] == result["em"] == result["test_suite"] == 1.0
    assert result["by_unseen"] == {"structure": {"count": 8, "ex": 1.0}, "wording": {"count": 12, "ex": 1.0}}
    assert all(sample["right"] and sample["rows"] for sample in result["samples"])
    gold[1] = "SELECT nowhere"
    samples = evaluate(knowing, shop / "dev.jsonl", shop, settings=SETTINGS)["samples"]
    assert [sample["right"] for sample in samples] == [True, True, True, False]
    assert "no such column" in samples[-1]["reason"]
