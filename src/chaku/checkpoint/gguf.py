"""A checkpoint as one GGUF file, which llama.cpp and what is built on it open."""

from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from chaku.errors import ChakuError
from chaku.files import atomic_file
from chaku.model import Llama, LlamaConfig
from chaku.model.rope import rotary_frequencies
from chaku.tokens.sentencepiece import piece_scores
from chaku.tokens.tokenizer import SPACE, Tokenizer, components, merge_parts

GGUF_TYPES = ("f32", "f16", "q8_0")
_ROPE_FREQS = "rope_freqs.weight"

# What a byte-level tokenizer splits words by, and llama.cpp's name of it (`tokenizer.ggml.pre`). Llama 3's and Qwen 2's
# expressions differ in how many digits stay together.
_CL100K = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|\p{{N}}{digits}"
    r"| ?[^\s\p{{L}}\p{{N}}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_PRE_TOKENIZERS: dict[tuple[str, ...], str] = {
    (_CL100K.format(digits="{1,3}"),): "llama-bpe",
    (_CL100K.format(digits=""),): "qwen2",
    ("[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", "[一-龥ࠀ-一가-퟿]+", "digits"): "deepseek-coder",
    # "starcoder" splits alike, but llama.cpp drops spaces before signs when it writes that one's tokens as text.
    ("digits", "gpt-2"): "smollm",
    ("gpt-2",): "gpt-2",
}


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

    `tensors`: every tensor once, in any order, under Hugging Face's names and in its layout. `dtype`, one of
    `GGUF_TYPES`, is the type of the matrices; norms and biases are float32, and a matrix whose rows do not divide into
    q8_0's blocks of 32 is float16, as llama.cpp does. `name` is what programs show of the model. Needs the `gguf`
    extra.

    Llama 2's kind of vocabulary is written as SentencePiece's, with a score a piece in place of merges. A text that
    spells an infilling token may there become that token, as with Meta's own tokenizer, where chaku keeps it text.

    Raises ChakuError for what llama.cpp would not compute as chaku does, for a tokenizer that does not belong to the
    model, and for tensors that are missing, unknown, misshapen or too large for their type.
    """
    gguf = _library(path)
    if dtype not in GGUF_TYPES:
        raise ChakuError(f"{path}: {dtype!r} is not a type to write; choose one of {', '.join(GGUF_TYPES)}")
    writer = gguf.GGUFWriter(None, _architecture(config))
    file_types = {"f32": "ALL_F32", "f16": "MOSTLY_F16", "q8_0": "MOSTLY_Q8_0"}
    writer.add_type("model")
    writer.add_name(name)
    writer.add_file_type(gguf.LlamaFileType[file_types[dtype]])
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    _add_shape(writer, config, path)
    extra = _add_rope_scaling(writer, config, path)
    _add_tokenizer(writer, tokenizer, config.vocab_size, path)

    asked = _shapes(config)
    shapes = asked | {each: tensor.shape for each, tensor in extra}
    names = _names(config) | {_ROPE_FREQS: _ROPE_FREQS}
    kinds: dict[str, Any] = {}
    offsets: dict[str, int] = {}  # bytes, from the first tensor
    size = 0
    for each, shape in shapes.items():
        blocks = dtype != "q8_0" or shape[-1] % 32 == 0
        kind = gguf.GGMLQuantizationType["F32" if len(shape) == 1 else dtype.upper() if blocks else "F16"]
        block_size, block_bytes = gguf.GGML_QUANT_SIZES[kind]
        num_bytes = shape.numel() // block_size * block_bytes
        writer.add_tensor_info(names[each], tuple(shape), np.dtype(np.float32), num_bytes, raw_dtype=kind)
        kinds[each], offsets[each] = kind, size
        size += writer.ggml_pad(num_bytes, writer.data_alignment)

    with atomic_file(path) as temporary:
        with closing(writer):
            writer.write_header_to_file(temporary)
            writer.write_kv_data_to_file()
            writer.write_ti_data_to_file()
        # The places are known, so that tensors are written as they come.
        start = writer.ggml_pad(temporary.stat().st_size, writer.data_alignment)
        with temporary.open("r+b") as file:
            file.truncate(start + size)
            for each, tensor in chain(extra, _checked(config, tensors, asked, path)):
                file.seek(start + offsets[each])
                file.write(_convert(config, each, tensor, kinds[each], path).data)


def read_gguf(path: Path, config: LlamaConfig) -> Iterator[tuple[str, Tensor]]:
    """The tensors of a file that `write_gguf` wrote, one by one: Hugging Face's names and layout, float32.

    Needs the `gguf` extra. Raises ChakuError for a file that is not GGUF, or that has tensors of other names.
    """
    gguf = _library(path)
    names = {theirs: ours for ours, theirs in _names(config).items()}
    try:
        tensors = gguf.GGUFReader(path).tensors
    except (OSError, ValueError, IndexError) as error:
        raise ChakuError(f"{path} is not a GGUF file ({error}); it may be truncated") from error
    for each in tensors:
        if each.name == _ROPE_FREQS:
            continue
        if each.name not in names:
            raise ChakuError(f"{path} has the tensor {each.name}, which the configuration does not ask for")
        name = names[each.name]
        tensor = torch.from_numpy(np.array(gguf.dequantize(each.data, each.tensor_type), dtype=np.float32))
        if heads := _rotary_heads(config, name):
            tensor = tensor.unflatten(0, (heads, -1, 2)).transpose(1, 2).flatten(0, 2)
        yield name, tensor


def _library(path: Path) -> Any:
    try:
        import gguf
    except ImportError:
        raise ChakuError(f"{path}: GGUF files need gguf: pip install 'chaku[gguf]'") from None
    return gguf


def _architecture(config: LlamaConfig) -> str:
    return "qwen2" if config.model_type == "qwen2" else "llama"  # llama.cpp has Mistral as "llama"


def _shapes(config: LlamaConfig) -> dict[str, torch.Size]:
    with torch.device("meta"):
        return {name: parameter.shape for name, parameter in Llama(config).named_parameters()}


def _names(config: LlamaConfig) -> dict[str, str]:
    """Hugging Face's name of each tensor -> GGUF's."""
    import gguf

    known = gguf.get_tensor_name_map(gguf.MODEL_ARCH[_architecture(config).upper()], config.num_hidden_layers)
    return {name: known.get_name(name, try_suffixes=(".weight", ".bias")) for name in _shapes(config)}


def _checked(
    config: LlamaConfig, tensors: Iterable[tuple[str, Tensor]], shapes: dict[str, torch.Size], path: Path
) -> Iterator[tuple[str, Tensor]]:
    """The tensors that the configuration asks for, each once and of its shape, and in the end all of them."""
    missing = dict(shapes)
    for name, tensor in tensors:
        # As `build_model`: tables that old checkpoints keep, and a tied output.
        if name.endswith("rotary_emb.inv_freq") or (name == "lm_head.weight" and config.tie_word_embeddings):
            continue
        if name not in missing:
            raise ChakuError(f"{path}: the checkpoint has the tensor {name}, which its configuration does not ask for")
        if (asked := missing.pop(name)) != tensor.shape:
            raise ChakuError(
                f"{path}: {name} has shape {tuple(tensor.shape)}, but the configuration asks for {tuple(asked)}; "
                "weights and configuration do not belong together"
            )
        yield name, tensor
    if missing:
        raise ChakuError(f"{path}: the checkpoint lacks the tensor {min(missing)}, which its configuration asks for")


def _convert(config: LlamaConfig, name: str, tensor: Tensor, kind: Any, path: Path) -> np.ndarray:
    import gguf

    if heads := _rotary_heads(config, name):
        tensor = tensor.unflatten(0, (heads, 2, -1)).transpose(1, 2).flatten(0, 2)
    half = kind == gguf.GGMLQuantizationType.F16
    values = tensor.detach().cpu().to(torch.float16 if half else torch.float32).contiguous()
    if not values.isfinite().all():
        advice = "export it as f32" if half and tensor.isfinite().all() else "the checkpoint is damaged"
        raise ChakuError(f"{path}: {name} has values that {kind.name.lower()} does not hold; {advice}")
    return np.ascontiguousarray(gguf.quantize(values.numpy(), kind))


def _rotary_heads(config: LlamaConfig, name: str) -> int:
    """How many heads a tensor has whose layout differs, else 0.

    Hugging Face turns i with i + head_dim / 2; llama.cpp's llama architecture, as Meta, 2i with 2i + 1: the rows of
    queries and keys, and their biases, move. Its qwen2 architecture turns as Hugging Face does.
    """
    if config.model_type == "qwen2":
        return 0
    if ".q_proj." in name:
        return config.num_attention_heads
    return config.num_key_value_heads if ".k_proj." in name else 0


def _add_shape(writer: Any, config: LlamaConfig, path: Path) -> None:
    window = config.sliding_window
    if window is not None and window < config.max_position_embeddings:
        raise ChakuError(
            f"{path}: the model sees {window} tokens back (sliding_window), which llama.cpp does not compute for this "
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


def _add_rope_scaling(writer: Any, config: LlamaConfig, path: Path) -> list[tuple[str, Tensor]]:
    """Linear and YaRN have metadata; what these cannot say is returned as a tensor of factors, (head_dim / 2,)."""
    import gguf

    scaling = config.rope_scaling
    if scaling is None:
        return []
    scaled, scale = rotary_frequencies(config)
    if scaling.rope_type == "linear":
        writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(scaling.factor)
        return []
    # llama.cpp reads YaRN's limits from the command line only, and rounds them.
    if scaling.rope_type == "yarn" and (scaling.beta_fast, scaling.beta_slow, scaling.truncate) == (32, 1, True):
        writer.add_rope_scaling_type(gguf.RopeScalingType.YARN)
        writer.add_rope_scaling_factor(scaling.factor)
        writer.add_rope_scaling_orig_ctx_len(scaling.original_max_position_embeddings)
        # It multiplies the factor that the paper gives, which llama.cpp computes itself.
        writer.add_rope_scaling_attn_factors(scale / replace(scaling, attention_factor=None).attention_scale)
        return []
    if config.model_type == "qwen2":
        raise ChakuError(
            f"{path}: of rotary scalings, llama.cpp's qwen2 architecture has linear and YaRN with its usual limits "
            f"(beta_fast 32, beta_slow 1, truncate), not this {scaling.rope_type}; serve the checkpoint as it is"
        )
    writer.add_rope_scaling_type(gguf.RopeScalingType.NONE)  # the default is linear
    writer.add_rope_scaling_attn_factors(scale)
    plain, _ = rotary_frequencies(replace(config, rope_scaling=None))
    return [(_ROPE_FREQS, plain / scaled)]


def _add_tokenizer(writer: Any, tokenizer: Tokenizer, vocab_size: int, path: Path) -> None:
    """The vocabulary, filled up with unused pieces to the model's rows, and what llama.cpp encodes with."""
    import gguf

    definition = tokenizer.definition
    model = definition["model"]
    ids = {**model["vocab"], **{each["content"]: each["id"] for each in definition["added_tokens"]}}
    if max(ids.values()) >= vocab_size:
        raise ChakuError(
            f"{path}: the model has {vocab_size} token embeddings and the tokenizer {max(ids.values()) + 1} tokens; "
            "they do not belong together"
        )
    tokens = [f"[PAD{number}]" for number in range(vocab_size)]
    types = [gguf.TokenType.UNUSED] * vocab_size
    added = {each["id"] for each in definition["added_tokens"]}
    for piece, number in ids.items():
        tokens[number] = piece
        if piece == model.get("unk_token"):
            types[number] = gguf.TokenType.UNKNOWN
        elif number in tokenizer.special_ids:
            types[number] = gguf.TokenType.CONTROL
        elif number in added:
            types[number] = gguf.TokenType.USER_DEFINED
            tokens[number] = piece.replace(SPACE, " ")  # looked for in the text as it is given
        elif model.get("byte_fallback") and len(piece) == 6 and piece.startswith("<0x") and piece.endswith(">"):
            types[number] = gguf.TokenType.BYTE
        else:
            types[number] = gguf.TokenType.NORMAL
    if model.get("byte_fallback"):
        scores = piece_scores(tokenizer)
        writer.add_tokenizer_model("llama")
        writer.add_tokenizer_pre("default")
        writer.add_token_scores(scores + [min(scores)] * (vocab_size - len(scores)))
    else:
        writer.add_tokenizer_model("gpt2")
        writer.add_tokenizer_pre(_pre_tokenizer(definition, path))
        writer.add_token_merges([" ".join(merge_parts(each)) for each in model["merges"]])
    writer.add_add_space_prefix(tokenizer.implicit_space)
    writer.add_add_bos_token(bool(tokenizer.begin))
    writer.add_add_eos_token(False)
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    keys = gguf.Keys.Tokenizer
    for key, special in (
        (keys.BOS_ID, tokenizer.bos_id),
        (keys.EOS_ID, tokenizer.eos_id),
        (keys.UNK_ID, ids.get(model.get("unk_token") or "")),
        (keys.EOT_ID, None if tokenizer.eot_id == tokenizer.eos_id else tokenizer.eot_id),
        (keys.FIM_PRE_ID, tokenizer.prefix_id),
        (keys.FIM_SUF_ID, tokenizer.suffix_id),
        (keys.FIM_MID_ID, tokenizer.middle_id),
    ):
        if special is not None:
            writer.add_uint32(key, special)
    if template := tokenizer.config.get("chat_template"):
        writer.add_chat_template(template)


def _pre_tokenizer(definition: dict[str, Any], path: Path) -> str:
    """llama.cpp's name of a byte-level tokenizer's way to split a text into words."""
    steps: list[str] = []
    for each in components(definition.get("pre_tokenizer")):
        kind = each.get("type")
        if kind == "Split":
            steps.append(str(each["pattern"].get("Regex")))
        elif kind == "Digits" and each.get("individual_digits"):
            steps.append("digits")
        elif kind == "ByteLevel":
            steps += ["gpt-2"] if each.get("use_regex", True) else []
        else:
            steps.append(str(kind))
    if tuple(steps) not in _PRE_TOKENIZERS:
        known = ", ".join(_PRE_TOKENIZERS.values())
        raise ChakuError(
            f"{path}: llama.cpp must split words as the tokenizer does, and this tokenizer's way ({steps}) is none of "
            f"those that chaku can name to it ({known}); convert the checkpoint with llama.cpp's convert_hf_to_gguf.py"
        )
    return _PRE_TOKENIZERS[tuple(steps)]
