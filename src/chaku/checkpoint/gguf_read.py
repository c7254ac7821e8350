"""Read a GGUF file as a checkpoint: its configuration, and its tensors in Hugging Face's names and layout."""

import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor

from chaku.checkpoint.gguf_dequantize import read_packed, read_stored
from chaku.checkpoint.gguf_names import ARCHITECTURES, from_gguf, rotary_heads
from chaku.checkpoint.gguf_rope import read_rope_scaling
from chaku.errors import ChakuError
from chaku.gguf_file import GgufFile, StoredTensor, read_gguf_file
from chaku.model.config import LlamaConfig
from chaku.model.packing import Packed

# Metadata that changes the model's computation, and the values with which it is a Llama. In the file, the name of the
# architecture stands before each key.
_PLAIN_VALUES: dict[str, tuple[Any, ...]] = {
    "expert_count": (0,),
    "attention.causal": (True,),
    "attention.clamp_kqv": (0.0,),
    "attention.max_alibi_bias": (0.0,),
    "attention.scale": (0.0,),
    "attn_logit_softcapping": (0.0,),
    "final_logit_softcapping": (0.0,),
    "logit_scale": (0.0, 1.0),
    "embedding_scale": (0.0, 1.0),
    "residual_scale": (0.0, 1.0),
    "use_parallel_residual": (False,),
}
# Tables of rotary frequencies from old converters; the configuration has the same information.
_TABLE = re.compile(r"(blk\.\d+\.)?(attn_rot_embd|rope_freqs)\.weight")
# llama.cpp ends a text at tokens of these names, whatever the metadata says.
END_NAMES = (
    "<|endoftext|>",
    "<|im_end|>",
    "<|eot_id|>",
    "<|eom_id|>",
    "<|end_of_text|>",
    "<|end|>",
    "<|EOT|>",
    "<EOT>",
)


def read_gguf(path: Path, dtype: torch.dtype | None = None) -> tuple[LlamaConfig, Iterator[tuple[str, Tensor]]]:
    """The configuration and the tensors of a GGUF file; each tensor is dequantised to `dtype` when it is iterated.

    `dtype` None keeps stored float32, float16 and bfloat16, and dequantises to float32. Raises ChakuError, before any
    weight is read, for a damaged file and for an architecture that chaku does not support.
    """
    file = read_gguf_file(path)
    config = read_gguf_config(file)
    return config, _tensors(file, config, lambda stored, heads, pool: read_stored(stored, dtype, heads, pool))


def read_packed_gguf(path: Path) -> tuple[LlamaConfig, Iterator[tuple[str, Tensor | Packed]]]:
    """As `read_gguf`, but a matrix of blocks with a scale and 32 signed codes stays packed."""
    file = read_gguf_file(path)
    config = read_gguf_config(file)

    def read(stored: StoredTensor, heads: int, pool: ThreadPoolExecutor) -> Tensor | Packed:
        return read_packed(stored, heads, pool) or read_stored(stored, None, heads, pool)

    return config, _tensors(file, config, read)


_Read = TypeVar("_Read")


def _tensors(
    file: GgufFile, config: LlamaConfig, read: Callable[[StoredTensor, int, ThreadPoolExecutor], _Read]
) -> Iterator[tuple[str, _Read]]:
    architecture = file.metadata["general.architecture"]
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        for stored in file.tensors:
            if not _TABLE.fullmatch(stored.name):
                name = from_gguf(stored.name)
                yield name, read(stored, rotary_heads(config, architecture, name), pool)


def read_gguf_config(file: GgufFile) -> LlamaConfig:
    """The shape of the model. Raises ChakuError, naming the key, for settings that chaku's Llama does not support."""
    path, architecture = file.path, file.need("general.architecture", str)
    if architecture not in ARCHITECTURES.values():
        known = ", ".join(sorted(set(ARCHITECTURES.values())))
        raise ChakuError(f"{path}: the architecture {architecture!r} is not one that chaku knows from GGUF ({known})")
    for key, allowed in _PLAIN_VALUES.items():
        value = file.metadata.get(f"{architecture}.{key}", allowed[0])
        if value not in allowed:
            raise ChakuError(
                f"{path}: {architecture}.{key} is {str(value)[:60]}, which chaku's Llama does not support; use another "
                "model"
            )
    shapes = {stored.name: stored.shape for stored in file.tensors}
    if "token_embd.weight" not in shapes:
        raise ChakuError(f"{path} lacks the tensor token_embd.weight, so it is not a whole model; get another file")
    layers = {int(found[1]) for name in shapes if (found := re.match(r"blk\.(\d+)\.", name))}
    num_layers = _count(file, "block_count")
    if layers != set(range(num_layers)):
        raise ChakuError(
            f"{path}: {architecture}.block_count is {num_layers}, but the file holds {len(layers)} layers; get it again"
        )
    heads, hidden_size = _count(file, "attention.head_count"), _count(file, "embedding_length")
    head_dim = _count(file, "attention.key_length", hidden_size // heads)
    for key in ("attention.value_length", "rope.dimension_count"):
        if (size := _count(file, key, head_dim)) != head_dim:
            raise ChakuError(
                f"{path}: {architecture}.{key} is {size}, but a head has {head_dim} dimensions; chaku only supports "
                "equal sizes: use another model"
            )
    window = file.get(f"{architecture}.attention.sliding_window", int)
    context = _count(file, "context_length")
    window = window if window and window < context else None
    if window is not None and architecture == "qwen2":
        raise ChakuError(
            f"{path}: qwen2.attention.sliding_window is {window}; a window in some layers is not supported: use "
            "another model"
        )
    fields: dict[str, Any] = {
        "vocab_size": shapes["token_embd.weight"][0],
        "hidden_size": hidden_size,
        "intermediate_size": _count(file, "feed_forward_length"),
        "num_hidden_layers": num_layers,
        "num_attention_heads": heads,
        "num_key_value_heads": _count(file, "attention.head_count_kv", heads),
        "max_position_embeddings": context,
        "rope_theta": _shortest(file.get(f"{architecture}.rope.freq_base", float, 10_000.0)),
        "rms_norm_eps": _shortest(file.need(f"{architecture}.attention.layer_norm_rms_epsilon", float)),
        "tie_word_embeddings": "output.weight" not in shapes,
        "bos_token_id": file.get("tokenizer.ggml.bos_token_id", int),
        "eos_token_id": end_ids(file) or None,
        "head_dim": head_dim,
        "attention_bias": "blk.0.attn_q.bias" in shapes,
        "mlp_bias": "blk.0.ffn_down.bias" in shapes,
        "sliding_window": window,
        "model_type": "qwen2" if architecture == "qwen2" else "llama" if window is None else "mistral",
    }
    try:
        plain = LlamaConfig(**fields)
    except ChakuError as error:
        raise ChakuError(f"{path}: {error}") from None
    return replace(plain, rope_scaling=read_rope_scaling(file, plain))


def end_ids(file: GgufFile) -> tuple[int, ...]:
    """All tokens that end a text: EOS first, the ends of a turn and of a message, then tokens named in `END_NAMES`."""
    keys = ("eos", "eot", "eom")
    given = [file.get(f"tokenizer.ggml.{key}_token_id", int) for key in keys]
    control = 3
    kinds = file.get("tokenizer.ggml.token_type", list, [])
    named = [
        number
        for number, (token, kind) in enumerate(zip(file.get("tokenizer.ggml.tokens", list, []), kinds, strict=False))
        if kind == control and token in END_NAMES
    ]
    return tuple(dict.fromkeys(number for number in [*given, *named] if number is not None))


def _count(file: GgufFile, key: str, default: int | None = None) -> int:
    """A positive integer of the metadata. If the file gives one number per layer, they must be equal."""
    key = f"{file.metadata['general.architecture']}.{key}"
    if default is not None and key not in file.metadata:
        return default
    value = file.need(key, (int, list))
    if isinstance(value, list) and len(set(value)) == 1:
        value = value[0]
    if not isinstance(value, int) or not 0 < value < 2**31:
        raise ChakuError(f"{file.path}: {key} is {str(value)[:60]}; chaku's Llama needs one positive number")
    return value


def _shortest(value: float) -> float:
    """The short decimal that was meant: GGUF stores float32, in which 1e-6 is 9.999999974752427e-07."""
    return float(f"{value:.7g}")
