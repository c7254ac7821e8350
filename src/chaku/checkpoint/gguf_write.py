"""Write a checkpoint as one GGUF file, for llama.cpp and the programs built on it."""

from collections.abc import Iterable
from contextlib import closing
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from chaku.checkpoint.gguf_names import ARCHITECTURES, ROPE_FREQS, rotary_heads, to_gguf
from chaku.checkpoint.gguf_rope import add_rope_scaling
from chaku.checkpoint.gguf_vocabulary import add_vocabulary
from chaku.checkpoint.huggingface import checked_tensors, tensor_shapes
from chaku.errors import ChakuError
from chaku.files import atomic_file
from chaku.model.config import LlamaConfig
from chaku.tokens.tokenizer import Tokenizer

GGUF_TYPES = ("f32", "f16", "q8_0")


def write_gguf(
    config: LlamaConfig,
    tensors: Iterable[tuple[str, Tensor]],
    tokenizer: Tokenizer,
    path: Path,
    *,
    dtype: str = "f16",
    name: str = "",
) -> None:
    """Write model and tokenizer as GGUF, atomically; memory holds about one tensor at a time.

    `tensors`: every tensor once, in any order, in Hugging Face's names and layout. `dtype`, one of `GGUF_TYPES`, is the
    type of the matrices. Norms and biases are float32. A matrix whose rows do not divide into q8_0's blocks of 32 is
    float16, as in llama.cpp. `name`: the model's name for display.

    A vocabulary of Llama 2's kind is written as a SentencePiece vocabulary, with scores instead of merges. With it,
    llama.cpp may encode a text that spells an infilling token to that token, as Meta's own tokenizer does; chaku
    encodes it as text.

    Raises ChakuError for a model that llama.cpp computes in another way, for a tokenizer with too many tokens, and for
    tensors that are missing, unknown, of the wrong shape or too large for their type.
    """
    import gguf

    if dtype not in GGUF_TYPES:
        raise ChakuError(f"{path}: {dtype!r} is not a GGUF type of chaku's; choose one of {', '.join(GGUF_TYPES)}")
    writer = gguf.GGUFWriter(None, ARCHITECTURES[config.model_type])
    file_types = {"f32": "ALL_F32", "f16": "MOSTLY_F16", "q8_0": "MOSTLY_Q8_0"}
    writer.add_type("model")
    writer.add_name(name)
    writer.add_file_type(gguf.LlamaFileType[file_types[dtype]])
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    _add_shape(writer, config, path)
    try:
        extra = add_rope_scaling(writer, config)
        add_vocabulary(writer, tokenizer, config.vocab_size)
    except ChakuError as error:
        raise ChakuError(f"{path}: {error}") from None

    needed = tensor_shapes(config)
    shapes = needed | {name: tensor.shape for name, tensor in extra}
    names = {name: to_gguf(name) for name in needed} | {ROPE_FREQS: ROPE_FREQS}
    kinds: dict[str, Any] = {}
    offsets: dict[str, int] = {}  # bytes, from the first tensor
    size = 0
    for key, shape in shapes.items():
        blocks = dtype != "q8_0" or shape[-1] % 32 == 0
        kind = gguf.GGMLQuantizationType["F32" if len(shape) == 1 else dtype.upper() if blocks else "F16"]
        block_size, block_bytes = gguf.GGML_QUANT_SIZES[kind]
        num_bytes = shape.numel() // block_size * block_bytes
        writer.add_tensor_info(names[key], tuple(shape), np.dtype(np.float32), num_bytes, raw_dtype=kind)
        kinds[key], offsets[key] = kind, size
        size += writer.ggml_pad(num_bytes, writer.data_alignment)

    with atomic_file(path) as temporary:
        with closing(writer):
            writer.write_header_to_file(temporary)
            writer.write_kv_data_to_file()
            writer.write_ti_data_to_file()
        # All offsets are known, so that the tensors can be written in any order.
        start = writer.ggml_pad(temporary.stat().st_size, writer.data_alignment)
        with temporary.open("r+b") as file:
            file.truncate(start + size)
            for name, tensor in chain(extra, checked_tensors(config, tensors, f"{path}: the checkpoint")):
                file.seek(start + offsets[name])
                file.write(_convert(config, name, tensor, kinds[name], path).data)


def _convert(config: LlamaConfig, name: str, tensor: Tensor, kind: Any, path: Path) -> np.ndarray:
    import gguf

    if heads := rotary_heads(config, ARCHITECTURES[config.model_type], name):
        tensor = tensor.unflatten(0, (heads, 2, -1)).transpose(1, 2).flatten(0, 2)
    half = kind == gguf.GGMLQuantizationType.F16
    values = tensor.detach().cpu().to(torch.float16 if half else torch.float32).contiguous()
    if not values.isfinite().all():
        advice = "export it as f32" if half and tensor.isfinite().all() else "the checkpoint is damaged"
        raise ChakuError(f"{path}: {name} has values that {kind.name.lower()} cannot hold; {advice}")
    return np.ascontiguousarray(gguf.quantize(values.numpy(), kind))


def _add_shape(writer: Any, config: LlamaConfig, path: Path) -> None:
    window = config.sliding_window
    if window is not None and window < config.max_position_embeddings:
        raise ChakuError(
            f"{path}: the model has a sliding_window of {window} tokens, which llama.cpp does not support for this "
            f"architecture: set max_position_embeddings to {window} in its config.json, and use it within that context"
        )
    writer.add_vocab_size(config.vocab_size)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_key_length(config.head_dim)
    writer.add_value_length(config.head_dim)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_dimension_count(config.head_dim)
    writer.add_rope_freq_base(config.rope_theta)
