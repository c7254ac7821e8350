"""Read and write Meta's release format: `params.json`, and the model-parallel shards `consolidated.NN.pth`."""

import pickle
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from chaku.checkpoint.weights import REOPEN_BYTES, open_torch
from chaku.errors import ChakuError
from chaku.files import atomic_file, read_json, write_json
from chaku.model.config import LlamaConfig, RopeScaling, ffn_hidden

# Hugging Face's name of a layer's tensor -> Meta's name, and the dimension that is split among the ranks of model
# parallelism (None: every rank has the whole tensor). Linear layers are (out, in): column-parallel layers are split
# along `out`, row-parallel layers along `in`.
_LAYER: dict[str, tuple[str, int | None]] = {
    "self_attn.q_proj": ("attention.wq", 0),
    "self_attn.k_proj": ("attention.wk", 0),
    "self_attn.v_proj": ("attention.wv", 0),
    "self_attn.o_proj": ("attention.wo", 1),
    "mlp.gate_proj": ("feed_forward.w1", 0),
    "mlp.down_proj": ("feed_forward.w2", 1),
    "mlp.up_proj": ("feed_forward.w3", 0),
    "input_layernorm": ("attention_norm", None),
    "post_attention_layernorm": ("ffn_norm", None),
}
# Llama 1, Llama 2 and Code Llama split the embedding's width among the ranks, Llama 3 its rows; the shapes show which.
_EMBEDDING = "tok_embeddings"
_OTHERS: dict[str, tuple[str, int | None]] = {
    "model.embed_tokens": (_EMBEDDING, 1),
    "model.norm": ("norm", None),
    "lm_head": ("output", 0),
}


def is_meta(directory: Path) -> bool:
    """Whether a directory has Meta's format: `params.json` without `config.json` (Mistral's releases have both)."""
    return (directory / "params.json").is_file() and not (directory / "config.json").is_file()


def meta_files(directory: Path) -> list[Path]:
    """The shards, in the order of their ranks. Raises ChakuError when one is missing."""
    paths = sorted(directory.glob("consolidated.*.pth"))
    expected = [f"consolidated.{number:02}.pth" for number in range(len(paths))]
    if not paths or [path.name for path in paths] != expected:
        found = ", ".join(path.name for path in paths) or "none"
        raise ChakuError(
            f"{directory}: shards are missing; found {found}, but consolidated.00.pth and so on must have no gap: copy "
            "the rest"
        )
    return paths


def read_meta(directory: Path) -> tuple[LlamaConfig, Iterator[tuple[str, Tensor]]]:
    """The configuration, and the tensors in Hugging Face's names and rotary layout, merged one at a time.

    `params.json` does not state the context length: it follows from the rotary base, as in Meta's releases. Raises
    ChakuError, naming the shard, when a shard is missing, truncated, or has a tensor of the wrong shape.
    """
    params = read_json(directory / "params.json")
    shards = [_open_shard(path) for path in meta_files(directory)]
    try:
        config = _config(params, vocab_size=sum(len(_tensor(shard, "output.weight")) for shard in shards))
    except KeyError as error:
        raise ChakuError(f"{directory}/params.json lacks the field {error}; copy the file again") from None
    share = len(_tensor(shards[0], "layers.0.attention.wq.weight"))
    if (expected := config.hidden_size // max(share, 1)) != len(shards):
        raise ChakuError(f"{directory}: shards are missing; there are {len(shards)} of {expected}: copy the rest")
    return config, _merged(config, shards)


Shard = tuple[Path, dict[str, Tensor]]


def _open_shard(path: Path) -> Shard:
    try:
        names, get = open_torch(path)
        return path, {name: get(name) for name in names}
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ChakuError(f"{path} cannot be read ({reason}); it is truncated or damaged: copy it again") from error


def _tensor(shard: Shard, name: str) -> Tensor:
    path, tensors = shard
    if name not in tensors:
        raise ChakuError(f"{path} lacks the tensor {name}: it is damaged or of another model; copy it again")
    return tensors[name]


def _config(params: dict[str, Any], vocab_size: int) -> LlamaConfig:
    theta = float(params.get("rope_theta") or 10_000.0)
    # Base and positions: Llama 2 1e4, 4,096; Code Llama 1e6, 16,384; Llama 3 5e5, 8,192, or 131,072 with scaling.
    positions = {10_000.0: 4096, 1_000_000.0: 16_384, 500_000.0: 8192}.get(theta, 4096)
    scaling = None
    if params.get("use_scaled_rope"):
        factor = float(params.get("rope_scaling_factor") or 8.0)  # 3.1: 8; 3.2: 32
        positions, scaling = 131_072, RopeScaling("llama3", factor, 8192)
    return LlamaConfig(
        vocab_size=vocab_size,
        hidden_size=params["dim"],
        intermediate_size=ffn_hidden(params["dim"], params["multiple_of"], params.get("ffn_dim_multiplier") or 1.0),
        num_hidden_layers=params["n_layers"],
        num_attention_heads=params["n_heads"],
        num_key_value_heads=params.get("n_kv_heads") or params["n_heads"],
        max_position_embeddings=positions,
        rope_theta=theta,
        rope_scaling=scaling,
        rms_norm_eps=params["norm_eps"],
        bos_token_id=1 if theta != 500_000.0 else 128_000,
        eos_token_id=2 if theta != 500_000.0 else 128_001,
    )


def _names(config: LlamaConfig) -> Iterator[tuple[str, str, int | None]]:
    """(Hugging Face's name, Meta's name, split dimension) of every tensor."""
    for theirs, (ours, dim) in _OTHERS.items():
        yield f"{theirs}.weight", f"{ours}.weight", dim
    for layer in range(config.num_hidden_layers):
        for theirs, (ours, dim) in _LAYER.items():
            yield f"model.layers.{layer}.{theirs}.weight", f"layers.{layer}.{ours}.weight", dim


def _merged(config: LlamaConfig, shards: list[Shard]) -> Iterator[tuple[str, Tensor]]:
    mapped = 0
    for name, meta_name, dim in _names(config):
        if mapped > REOPEN_BYTES:
            shards = [_open_shard(path) for path, _ in shards]
            mapped = 0
        parts = [_tensor(shard, meta_name) for shard in shards]
        if meta_name.startswith(_EMBEDDING) and parts[0].shape[1] == config.hidden_size:
            dim = 0
        for part, (path, _) in zip(parts, shards, strict=True):
            if part.shape != parts[0].shape:
                first = shards[0][0].name
                raise ChakuError(
                    f"{path}: {meta_name} has shape {tuple(part.shape)}, but in {first} {tuple(parts[0].shape)}; the "
                    "shards are of different models: copy all shards of one model"
                )
        # Always copy: a single view of the map, even of a norm, would keep in memory all pages read through the map.
        merged = torch.cat(parts[:1] if dim is None else parts, dim or 0)
        if heads := _num_heads(config, name):
            merged = _to_halves(merged, heads)
        mapped += merged.nbytes
        del parts
        yield name, merged


def _num_heads(config: LlamaConfig, name: str) -> int | None:
    """The number of heads of a tensor whose rows the rotary embedding rotates; None for other tensors."""
    if ".q_proj." in name:
        return config.num_attention_heads
    return config.num_key_value_heads if ".k_proj." in name else None


def _to_halves(weight: Tensor, num_heads: int) -> Tensor:
    """Meta's order of rows to Hugging Face's: Meta rotates rows 2i and 2i + 1, Hugging Face i and i + head_dim / 2."""
    rows, width = weight.shape
    return weight.view(num_heads, rows // num_heads // 2, 2, width).transpose(1, 2).reshape(rows, width)


def _to_pairs(weight: Tensor, num_heads: int) -> Tensor:
    """The inverse of `_to_halves`."""
    rows, width = weight.shape
    return weight.view(num_heads, 2, rows // num_heads // 2, width).transpose(1, 2).reshape(rows, width)


def write_meta(
    config: LlamaConfig, tensors: Iterable[tuple[str, Tensor]], directory: Path, num_shards: int = 1
) -> None:
    """Write `params.json` and `num_shards` shards; the tensors keep their dtypes.

    Memory holds the weights once. Raises ChakuError for a model that the format cannot hold.
    """
    for wrong, what in (
        (config.model_type != "llama", f"the {config.model_type!r} family"),
        (config.attention_bias or config.mlp_bias, "biases"),
        (config.head_dim * config.num_attention_heads != config.hidden_size, "a head_dim of its own"),
        (config.rope_scaling is not None and config.rope_scaling.rope_type != "llama3", "this rotary scaling"),
        (num_shards > 1 and config.num_key_value_heads % num_shards, f"{num_shards} shards of these heads"),
    ):
        if wrong:
            raise ChakuError(f"Meta's format cannot hold {what}; use Hugging Face's format (--to hf)")
    params = _params(config)
    parts: list[dict[str, Tensor]] = [{} for _ in range(num_shards)]
    found = dict(tensors)
    if config.tie_word_embeddings:
        found["lm_head.weight"] = found["model.embed_tokens.weight"]
    for name, meta_name, dim in _names(config):
        tensor = found.pop(name)
        if heads := _num_heads(config, name):
            tensor = _to_pairs(tensor, heads)
        for part, piece in zip(parts, _split(tensor, dim, num_shards), strict=True):
            part[meta_name] = piece
    for number, part in enumerate(parts):
        with atomic_file(directory / f"consolidated.{number:02}.pth") as temporary:
            torch.save(part, temporary)
    write_json(directory / "params.json", params)


def _split(tensor: Tensor, dim: int | None, num_shards: int) -> list[Tensor]:
    # Clone, because torch.save writes the whole storage of a view, which may be a whole mapped file.
    if dim is None or num_shards == 1:
        return [tensor.clone()] * num_shards
    return [piece.clone() for piece in tensor.chunk(num_shards, dim)]


def _params(config: LlamaConfig) -> dict[str, Any]:
    params: dict[str, Any] = {
        "dim": config.hidden_size,
        "n_layers": config.num_hidden_layers,
        "n_heads": config.num_attention_heads,
        "n_kv_heads": config.num_key_value_heads,
        "vocab_size": config.vocab_size,
        "norm_eps": config.rms_norm_eps,
        "rope_theta": config.rope_theta,
        **_feed_forward(config),
    }
    if config.rope_scaling is not None:
        params |= {"use_scaled_rope": True, "rope_scaling_factor": config.rope_scaling.factor}
    return params


def _feed_forward(config: LlamaConfig) -> dict[str, Any]:
    """`multiple_of` and `ffn_dim_multiplier` for the configuration's width; the pair of a release if one fits."""
    for multiple, multiplier in ((256, 1.0), (4096, 1.3), (1024, 1.3), (256, 1.5)):
        if ffn_hidden(config.hidden_size, multiple, multiplier) == config.intermediate_size:
            return {"multiple_of": multiple, "ffn_dim_multiplier": multiplier}
    multiplier = (config.intermediate_size + 0.5) / ffn_hidden(config.hidden_size, 1)
    return {"multiple_of": 1, "ffn_dim_multiplier": multiplier}
