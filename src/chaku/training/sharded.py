"""Makes and saves a model that many ranks share: no rank ever holds the whole of it."""

from collections.abc import Iterable
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor

from chaku.checkpoint.huggingface import checked_tensors, save_config
from chaku.checkpoint.weights import MAX_SHARD_BYTES, finish_shards, plan_shards, write_shard
from chaku.model.config import LlamaConfig, LoraConfig
from chaku.model.llama import Llama
from chaku.model.lora import add_lora, first_matrix, lora_layers
from chaku.training.parallel import local_part, parallelize
from chaku.training.ranks import Ranks, whole_tensor


def sharded_model(
    config: LlamaConfig,
    tensors: Iterable[tuple[str, Tensor]],
    source: Path | str,
    device: torch.device,
    ranks: Ranks,
    sequence_length: int,
    precision: str,
    *,
    lora: LoraConfig | None = None,
    seed: int = 0,
    compiled: bool = False,
) -> Llama:
    """A model laid out over the ranks. Each rank reads only its part of each tensor; `source` is for error messages.

    `tensors`: Hugging Face's names; a mapped tensor is read from the disk where it is used. `seed`: draws LoRA's A, as
    `add_lora` on one process. Weights are float32. Raises ChakuError as `checked_tensors` and `parallelize` do.
    """
    with torch.device("meta"):
        model = Llama(config)
        if lora:
            add_lora(model, lora)
    parallelize(model, ranks, sequence_length, precision, compiled=compiled)
    model.to_empty(device=device)
    if config.tie_word_embeddings:
        model.lm_head.weight = model.model.embed_tokens.weight
    parameters = {name.replace(".base.", "."): parameter for name, parameter in model.named_parameters()}
    with torch.no_grad():
        for name, tensor in checked_tensors(config, tensors, source):
            part, place = local_part(parameters[name])
            part.copy_(tensor[place])
        generator = torch.Generator().manual_seed(seed)
        for _, layer in lora_layers(model):
            part, place = local_part(layer.lora_A)
            part.copy_(first_matrix(len(layer.lora_A), layer.lora_A.shape[1], generator)[place])
            local_part(layer.lora_B)[0].zero_()
    return model


def save_sharded(model: Llama, directory: Path, ranks: Ranks, max_shard_bytes: int = MAX_SHARD_BYTES) -> None:
    """Write a Hugging Face checkpoint, as `save_model`. The ranks write different files; each holds one file at a time.

    All ranks must call this together, and see the same directory.
    """
    parameters = list(model.named_parameters())
    sizes = {name: parameter.numel() * parameter.element_size() for name, parameter in parameters}
    shards = plan_shards(sizes, max_shard_bytes)
    if ranks.is_first:
        directory.mkdir(parents=True, exist_ok=True)
    dist.barrier()
    places = dict(parameters)
    for number, names in enumerate(shards):
        own: dict[str, Tensor] = {}
        for name in names:
            whole = whole_tensor(places[name])
            if number % ranks.size == ranks.rank:
                own[name] = whole.cpu()
        if own:
            write_shard(own, directory, number)
    dist.barrier()
    if ranks.is_first:
        save_config(model.config, directory, torch.float32)
        finish_shards(directory, [{name: sizes[name] for name in names} for names in shards])
    dist.barrier()
