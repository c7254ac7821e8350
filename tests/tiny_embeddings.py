"""Static embeddings of a few words, in Model2Vec's form: words of like meaning have one vector, in any language."""

from pathlib import Path

import numpy as np
from safetensors.numpy import save_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

MEANINGS = (
    ("customers", "customer", "buyers", "顾客"),
    ("orders", "order", "purchases"),
    ("revenue", "turnover", "sales"),
    ("country", "nation"),
    ("joke", "cats", "sky", "egg", "life"),
)


def make_static_embeddings(folder: Path) -> Path:
    words = [word for meaning in MEANINGS for word in meaning]
    vectors = np.repeat(np.eye(len(MEANINGS), dtype=np.float32), [len(meaning) for meaning in MEANINGS], axis=0)
    vocabulary = {"[UNK]": 0} | {word: number for number, word in enumerate(words, 1)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    zeros = np.zeros((1, len(MEANINGS)), np.float32)
    save_file({"embeddings": np.concatenate([zeros, vectors])}, folder / "model.safetensors")
    return folder
