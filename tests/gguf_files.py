"""Small models as GGUF files, and files that are changed: other metadata, other types, more parts."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import tokenizers
import torch
from tokenizers import Regex, models, pre_tokenizers, trainers

import tiny_models
from chaku.checkpoint.config_json import config_from_json
from chaku.checkpoint.gguf_write import write_gguf
from chaku.checkpoint.huggingface import named_tensors
from chaku.model.config import LlamaConfig
from chaku.model.llama import Llama
from chaku.tokens.byte_level import ByteLevelTokenizer
from chaku.tokens.tokenizer import Tokenizer
from chaku.tokens.tokenizer_training import train_tokenizer

CODE = [
    "def add(a, b):\n    return a + b\n",
    "for x in range(10):\n        print(x, end='')\n\n\nif x != 9 and not (a <= b):\n\traise ValueError(f'{x!r}')\n",
    "  int main(void) {\r\n    return a->b[3] << 0x1F; // aaaa  aaaaa   ----====\n}\n",
    "x",
    " ",
    "    ",
    "\n\n",
    "class A: x == y!\n\n\tfoo_bar = self.print_range(10)",
]
TOKENIZER = train_tokenizer(["\n".join(CODE[:3]), CODE[-1] * 2], 330)
ROWS = 336  # of the models: more than the tokenizer has

LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def byte_level(name: str) -> Tokenizer:
    """A tokenizer that splits words in one of the ways that llama.cpp has a name for."""

    def split(*patterns):
        return [pre_tokenizers.Split(Regex(pattern), "isolated") for pattern in patterns]

    steps = {
        "llama-bpe": split(LLAMA3),
        "qwen2": split(LLAMA3.replace("{1,3}", "")),
        "deepseek-coder": split("[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", "[一-龥ࠀ-一가-퟿]+"),
        "words": [pre_tokenizers.Whitespace()],
    }.get(name, [])
    steps += [pre_tokenizers.Digits(True)] if name in ("deepseek-coder", "smollm") else []
    steps += [pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=name in ("smollm", "gpt-2", "words"))]
    made = tokenizers.Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.Sequence(steps)
    trainer = trainers.BpeTrainer(
        vocab_size=ROWS - 8,
        special_tokens=["<|bos|>", "<|eos|>"],
        show_progress=False,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
    )
    made.train_from_iterator(CODE * 2, trainer)
    made.add_tokens(["<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>", "<|endoftext|>", "<tool>"])
    return ByteLevelTokenizer(json.loads(made.to_str()), {"bos_token": "<|bos|>", "eos_token": "<|eos|>"})


def tiny_config(name: str) -> LlamaConfig:
    prefix, changes, rope = tiny_models.FAMILIES[name]
    fields = {**tiny_models.TINY, "model_type": prefix.lower(), **changes, "vocab_size": ROWS, "rope_parameters": rope}
    return replace(config_from_json(fields, Path(name)), bos_token_id=1, eos_token_id=2, sliding_window=None)


def tiny_model(config: LlamaConfig) -> Llama:
    """Random weights, large enough that positions, biases and layers matter and that the best token is clear."""
    torch.manual_seed(3)
    model = Llama(config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.add_(torch.randn_like(parameter) * (0.1 if parameter.ndim > 1 else 0.2))
            if "lm_head" in name or "embed" in name:
                parameter[TOKENIZER.eot_id :] = 0  # neither EOT nor rows that no token has are chosen
    return model.eval()


def export(model: Llama, path: Path, dtype: str = "f32", tokenizer: Tokenizer = TOKENIZER) -> Path:
    write_gguf(model.config, named_tensors(model), tokenizer, path, dtype=dtype, name="tiny")
    return path


def metadata(path: Path) -> dict:
    return {key: field.contents() for key, field in gguf.GGUFReader(path).fields.items()}


def change(
    source: Path,
    target: Path,
    metadata: dict[str, Any] | None = None,
    *,
    quantise: gguf.GGMLQuantizationType | None = None,
    tensors: Callable[[str, np.ndarray], np.ndarray | None] = lambda name, values: values,
) -> Path:
    """Write a float32 file again. `metadata`: keys that change (None: left out) or are new, with Python's values.

    `quantise`: the type of the matrices; `tensors` changes a tensor by name, or (None) leaves it out.
    """
    read = gguf.GGUFReader(source)
    writer = gguf.GGUFWriter(target, read.fields["general.architecture"].contents())
    changes = dict(metadata or {})
    for key, field in read.fields.items():
        if key.startswith("GGUF.") or key == "general.architecture":
            continue
        if key not in changes:
            kinds = [*field.types, None]
            writer.add_key_value(key, field.contents(), kinds[0], kinds[1] if len(field.types) > 1 else None)
    for key, value in changes.items():
        if value is not None:
            kinds = {bool: gguf.GGUFValueType.BOOL, int: gguf.GGUFValueType.UINT32, float: gguf.GGUFValueType.FLOAT32}
            kind = kinds.get(type(value), gguf.GGUFValueType.STRING)
            if isinstance(value, list):
                writer.add_array(key, value)
            else:
                writer.add_key_value(key, value, kind)
    for tensor in read.tensors:
        values = tensors(tensor.name, np.array(tensor.data))
        if values is None:
            continue
        if quantise is not None and values.ndim == 2:
            writer.add_tensor(tensor.name, gguf.quantize(values, quantise), raw_dtype=quantise)
        else:
            writer.add_tensor(tensor.name, values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return target
