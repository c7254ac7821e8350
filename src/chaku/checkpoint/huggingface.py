"""Read and write Hugging Face model directories: `config.json`, and the weights beside it."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn

from chaku.checkpoint.config_json import config_from_json, config_to_json
from chaku.checkpoint.weights import MAX_SHARD_BYTES, write_tensors
from chaku.console import say
from chaku.errors import ChakuError
from chaku.files import read_json, write_json
from chaku.model.config import LlamaConfig
from chaku.model.llama import Llama, init_weight
from chaku.model.packing import Packed
from chaku.model.quantization import Scheme, is_quantized, quantize_tensors

EMBEDDING = "embed_tokens.weight"
_ROWS = (f"model.{EMBEDDING}", "lm_head.weight")  # have a row for each token


def load_config(directory: Path) -> LlamaConfig:
    """The shape of a checkpoint. Raises ChakuError for a directory without a `config.json` of a supported family."""
    if not (directory / "config.json").is_file():
        lacks = "it has no config.json" if directory.is_dir() else "it is a file, but not a GGUF file"
        raise ChakuError(f"{directory} is not a checkpoint: {lacks}; {_advice(directory)}")
    config = config_from_json(read_json(directory / "config.json"), directory)
    generation = directory / "generation_config.json"
    eos = read_json(generation).get("eos_token_id") if generation.is_file() else None
    if eos is None:
        return config
    return replace(config, eos_token_id=tuple(eos) if isinstance(eos, list) else eos)


def _advice(directory: Path) -> str:
    """The checkpoints below a directory that is none itself: its .gguf files, or the stages of a run."""
    found = sorted(directory.glob("*.gguf"))
    found += [file.parent for pattern in ("*", "stages/*") for file in sorted(directory.glob(f"{pattern}/config.json"))]
    return f"name one in it: {', '.join(map(str, found))}" if found else "name a model directory or a .gguf file"


def untie_if_different(config: LlamaConfig, tensors: Iterable[tuple[str, Tensor]], source: Path) -> LlamaConfig:
    """The configuration, untied if the checkpoint stores an `lm_head` that differs from its embedding.

    A message reports the change. transformers 5 does the same, because the stored weights are the trained weights.
    """
    if not config.tie_word_embeddings:
        return config
    both = {name: tensor for name, tensor in tensors if name.removeprefix("model.") in ("lm_head.weight", EMBEDDING)}
    head = both.pop("lm_head.weight", None)
    if head is None or not both or torch.equal(head, next(iter(both.values()))):
        return config
    say(f"{source}: config.json ties lm_head to the embedding, but another lm_head is stored: chaku uses the latter")
    return replace(config, tie_word_embeddings=False)


def build_model(
    config: LlamaConfig,
    tensors: Iterable[tuple[str, Tensor]],
    source: Path | str,
    dtype: torch.dtype | None = None,
    device: torch.device | str = "cpu",
    scheme: Scheme | None = None,
) -> Llama:
    """Build a model from tensors with Hugging Face's names; `source` is for error messages.

    `dtype` None keeps the tensors' dtypes; `scheme` quantises the projections one at a time. Raises ChakuError as
    `checked_tensors` and `quantize_tensor` do.
    """
    with torch.device("meta"):
        model = Llama(config)
    moved = ((name, tensor.to(device, dtype)) for name, tensor in checked_tensors(config, tensors, source))
    for name, tensor in moved if scheme is None else quantize_tensors(moved, scheme):
        module, _, leaf = name.rpartition(".")
        parameter = nn.Parameter(tensor, requires_grad=not is_quantized(tensor))
        setattr(model.get_submodule(module), leaf, parameter)
    if config.tie_word_embeddings:
        model.lm_head.weight = model.model.embed_tokens.weight
    return model


_Weight = TypeVar("_Weight", Tensor, Tensor | Packed)


def checked_tensors(
    config: LlamaConfig, tensors: Iterable[tuple[str, _Weight]], source: Path | str
) -> Iterator[tuple[str, _Weight]]:
    """Yield a configuration's tensors, and check that each has the right shape and comes exactly once.

    Raises ChakuError, naming tensor and `source`, for a tensor that is unknown, missing or of the wrong shape.
    """
    missing = tensor_shapes(config)
    for given, tensor in tensors:
        # transformers saves a model without its output (LlamaModel) under names without "model.".
        name = f"model.{given}" if given not in missing and f"model.{given}" in missing else given
        # Old checkpoints store a table of rotary frequencies; some store the tied output beside the embedding.
        if name.endswith("rotary_emb.inv_freq") or (name == "lm_head.weight" and config.tie_word_embeddings):
            continue
        if name not in missing:
            raise ChakuError(
                f"{source} has the tensor {name}, which its configuration does not ask for; get weights and "
                "configuration of the same model"
            )
        if (expected := missing.pop(name)) != tensor.shape:
            raise ChakuError(
                f"{source}: {name} has shape {tuple(tensor.shape)}, but the configuration asks for {tuple(expected)}; "
                "get weights and configuration of the same model"
            )
        yield name, tensor
    if list(missing) == ["lm_head.weight"]:
        raise ChakuError(
            f"{source} has no lm_head: a model without its output cannot write text; get the model with its output"
        )
    if missing:
        raise ChakuError(f"{source} lacks the tensor {min(missing)}, which its configuration asks for; get it again")


def random_tensors(config: LlamaConfig, seed: int) -> Iterator[tuple[str, Tensor]]:
    """New weights, one whole tensor at a time: the same on any number of ranks."""
    generator = torch.Generator().manual_seed(seed)
    for name, shape in tensor_shapes(config).items():
        weight = torch.empty(shape)
        init_weight(name, weight, config.num_hidden_layers, generator)
        yield name, weight


def with_new_rows(
    tensors: Iterable[tuple[str, Tensor]], config: LlamaConfig, seed: int
) -> Iterator[tuple[str, Tensor]]:
    """The tensors, with embedding and output grown to the vocabulary of `config`, in float32.

    New rows are the mean of the old rows plus noise with deviation 0.02, which `seed` draws.
    """
    generator = torch.Generator().manual_seed(seed)
    noise: dict[str, Tensor] = {}
    for name, tensor in tensors:
        if name not in _ROWS or len(tensor) >= config.vocab_size:
            yield name, tensor
            continue
        if not noise:  # drawn in one order, whichever comes first
            shape = (config.vocab_size - len(tensor), tensor.shape[1])
            noise = {which: torch.randn(shape, generator=generator) * 0.02 for which in _ROWS}
        old = tensor.float()
        yield name, torch.cat([old, old.mean(dim=0) + noise[name]])


def tensor_shapes(config: LlamaConfig) -> dict[str, torch.Size]:
    """The shapes of a configuration's tensors, by Hugging Face's names; without a tied output."""
    with torch.device("meta"):
        return {name: parameter.shape for name, parameter in Llama(config).named_parameters()}


def save_model(model: Llama, directory: Path, max_shard_bytes: int = MAX_SHARD_BYTES) -> None:
    """Write `config.json`, `generation_config.json` and the weights into a directory, each file atomically."""
    save_config(model.config, directory, model.lm_head.weight.dtype)
    write_tensors(named_tensors(model), directory, max_shard_bytes)


def save_config(config: LlamaConfig, directory: Path, dtype: torch.dtype) -> None:
    """Write `config.json` and `generation_config.json`."""
    fields = config_to_json(config, str(dtype))
    write_json(directory / "config.json", fields)
    write_json(directory / "generation_config.json", {key: fields[key] for key in ("bos_token_id", "eos_token_id")})


def named_tensors(model: Llama) -> Iterable[tuple[str, Tensor]]:
    """(name, weight) with Hugging Face's names. A tied output, which is the embedding, is not repeated."""
    return ((name, parameter.detach()) for name, parameter in model.named_parameters())
