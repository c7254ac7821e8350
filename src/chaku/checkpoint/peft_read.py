"""Read PEFT's LoRA adapters: of projections, embedding and output, with DoRA and with modules that are saved whole."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from chaku.checkpoint.peft import PREFIX
from chaku.checkpoint.weights import read_tensors
from chaku.errors import ChakuError
from chaku.files import read_json
from chaku.model.adapters import Update
from chaku.model.config import LlamaConfig, LoraConfig
from chaku.model.llama import Llama
from chaku.model.lora import LoraLinear, lora_layers
from chaku.model.quantization import dense

EMBEDDING, OUTPUT = "model.embed_tokens", "lm_head"
# Fields that do not change a saved adapter's computation. All other fields that are set must be in `_READ`.
_NO_EFFECT = {
    "task_type",
    "auto_mapping",
    "base_model_name_or_path",
    "revision",
    "inference_mode",
    "peft_version",
    "megatron_core",
    "qalora_group_size",
    "loftq_config",
    "eva_config",
    "corda_config",
    "lora_ga_config",
    "runtime_config",
}
_READ = {
    *("peft_type", "r", "lora_alpha", "lora_dropout", "target_modules", "use_rslora", "bias", "init_lora_weights"),
    *("rank_pattern", "alpha_pattern", "exclude_modules", "layers_to_transform", "layers_pattern", "modules_to_save"),
    *("use_dora", "ensure_weight_tying"),
}
# Initialisations that do not change the base's weights. Other initialisations (pissa, olora, loftq...) change them.
_INITIALISATIONS = (None, True, False, "gaussian", "eva", "orthogonal", "mica")


@dataclass(frozen=True)
class _Adapter:
    """`targets`: the LoRA settings by module. `saved`: modules that are stored whole. `dora`: see arXiv 2402.09353."""

    config: LoraConfig
    targets: dict[str, LoraConfig]
    saved: tuple[str, ...]
    dora: bool


@torch.no_grad()
def load_adapter(model: Llama, directory: Path) -> LoraConfig:
    """Add an adapter to a model, in place; returns its settings.

    LoRA on projections stays separate, for further training or a merge. LoRA on the embedding and the output, DoRA, and
    modules that were trained whole are merged into the weights at once. Before the model changes, raises ChakuError,
    naming the field, for settings that chaku does not support, and, naming the tensor, for tensors that do not fit.
    """
    adapter = _read_settings(model, directory)
    tensors = _tensors(model, adapter, directory)
    if model.config.tie_word_embeddings and {EMBEDDING, OUTPUT} & {*adapter.targets, *adapter.saved}:
        model.lm_head.weight = nn.Parameter(model.lm_head.weight.clone())  # the adapter makes the two differ
        model.config = replace(model.config, tie_word_embeddings=False)
    if any(name not in (EMBEDDING, OUTPUT) for name in adapter.targets) and not adapter.dora:
        model.requires_grad_(False)
    for name, config in adapter.targets.items():
        module = model.get_submodule(name)
        first, second = (tensors[f"{PREFIX}{name}.{half}"] for half in _lora_names(name))
        if name == EMBEDDING:
            assert isinstance(module, nn.Embedding)
            module.weight.add_((second @ first).T.to(module.weight.dtype), alpha=config.scale)
            continue
        assert isinstance(module, nn.Linear)
        if name == OUTPUT or adapter.dora:
            total = dense(module.weight).float().addmm(second.float(), first.float(), alpha=config.scale)
            if adapter.dora:
                magnitude = tensors[f"{PREFIX}{name}.{_MAGNITUDE}"].float()
                total *= (magnitude / torch.linalg.norm(total, dim=1))[:, None]
            dtype = dense(module.weight).dtype
            module.weight = nn.Parameter(total.to(dtype), requires_grad=module.weight.requires_grad)
        else:
            parent, _, leaf = name.rpartition(".")
            layer = LoraLinear(module, config)
            layer.lora_A.copy_(first)
            layer.lora_B.copy_(second)
            setattr(model.get_submodule(parent), leaf, layer)
    for name in adapter.saved:
        for parameter_name, parameter in model.get_submodule(name).named_parameters():
            parameter.copy_(tensors[f"{PREFIX}{name}.{parameter_name}"])
    return adapter.config


def read_updates(config: LlamaConfig, directory: Path) -> dict[str, Update]:
    """The update of each projection, for an adapter that stays beside a base of this shape.

    Raises ChakuError as `load_adapter`, and for an adapter that changes more than projections: merge such an adapter.
    """
    with torch.device("meta"):
        model = Llama(config)
    adapter = _read_settings(model, directory)
    if adapter.dora or adapter.saved or {EMBEDDING, OUTPUT} & adapter.targets.keys():
        raise ChakuError(
            f"{directory} changes more than the projections (DoRA, the embedding or whole modules), so it cannot stay "
            f"beside its base; merge it: chaku merge {directory} TARGET"
        )
    tensors = _tensors(model, adapter, directory)
    updates = {}
    for name, settings in adapter.targets.items():
        first, second = (tensors[f"{PREFIX}{name}.{half}"].float() for half in _lora_names(name))
        updates[name] = (first, second * settings.scale)
    return updates


def merged_tensors(
    tensors: Iterable[tuple[str, Tensor]], config: LlamaConfig, directory: Path
) -> Iterator[tuple[str, Tensor]]:
    """A base's tensors, in float32, with an adapter's updates added, one at a time. Raises as `read_updates`."""
    updates = read_updates(config, directory)
    for name, tensor in tensors:
        update = updates.get(name.removesuffix(".weight"))
        yield name, tensor.float() if update is None else tensor.float().addmm(update[1], update[0])


def _read_settings(model: Llama, directory: Path) -> _Adapter:
    where = f"{directory}/adapter_config.json"
    if not (directory / "adapter_config.json").is_file():
        raise ChakuError(f"{directory} is not a LoRA adapter: it has no adapter_config.json")
    fields = read_json(directory / "adapter_config.json")
    try:
        if next(lora_layers(model), None):
            raise ChakuError("the model has LoRA already; merge it into the base first")
        return _adapter(model, fields)
    except KeyError as error:
        raise ChakuError(f"{where} lacks the field {error}; get the adapter again") from None
    except ChakuError as error:
        raise ChakuError(f"{where}: {error}") from None


_MAGNITUDE = "lora_magnitude_vector.weight"


def _lora_names(module: str) -> tuple[str, str]:
    return ("lora_embedding_A", "lora_embedding_B") if module == EMBEDDING else ("lora_A.weight", "lora_B.weight")


def _adapter(model: Llama, fields: dict[str, Any]) -> _Adapter:
    if (kind := fields.get("peft_type")) != "LORA":
        raise ChakuError(f"peft_type is {kind!r}; chaku supports only 'LORA'. Merge this adapter with PEFT")
    if (bias := fields.get("bias", "none")) != "none":
        raise ChakuError(f"bias is {bias!r}; chaku supports only 'none'. Merge this adapter with PEFT")
    if (start := fields.get("init_lora_weights")) not in _INITIALISATIONS:
        raise ChakuError(f"init_lora_weights is {start!r}, which changes the base; convert the adapter with PEFT")
    for name, value in fields.items():
        if value and name not in _NO_EFFECT | _READ:
            raise ChakuError(f"{name} is {value!r}, which chaku does not support; merge this adapter with PEFT")
    saved = tuple(_saved(model, fields.get("modules_to_save") or []))
    modules = fields["target_modules"]
    names = [name for name in _adaptable(model, all_linear=modules == "all-linear") if name not in saved]
    names = [name for name in names if _matches(modules, name) and not _matches(fields.get("exclude_modules"), name)]
    names = [name for name in names if isinstance(modules, str) or _in_layers(fields, name)]
    if not modules and not saved:
        raise ChakuError("LoRA has no targets, because target_modules is empty; get the adapter again")
    for wanted in modules if isinstance(modules, list) else []:
        if not any(_matches([wanted], name) for name in _adaptable(model)):
            raise ChakuError(f"LoRA's target {wanted} matches no layer; the adapter belongs to another model")
    if modules and not names:
        raise ChakuError(
            f"target_modules {modules!r} matches no projection of the model; the adapter belongs to another model"
        )
    config = LoraConfig(
        rank=fields["r"],
        alpha=fields["lora_alpha"],
        dropout=fields.get("lora_dropout", 0.0),
        targets=tuple(names) or (OUTPUT,),
        rslora=fields.get("use_rslora", False),
    )
    ranks, alphas = fields.get("rank_pattern") or {}, fields.get("alpha_pattern") or {}
    targets = {
        name: replace(config, rank=_by_pattern(ranks, name, config.rank), alpha=_by_pattern(alphas, name, config.alpha))
        for name in names
    }
    dora = bool(fields.get("use_dora"))
    if dora and EMBEDDING in targets:
        raise ChakuError("chaku does not support use_dora on the embedding; merge this adapter with PEFT")
    return _Adapter(config, targets, saved, dora)


def _adaptable(model: Llama, all_linear: bool = False) -> Iterator[str]:
    """The names of the modules that LoRA can adapt. `all_linear` leaves out embedding and output."""
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear | nn.Embedding) and not (all_linear and name in (EMBEDDING, OUTPUT)):
            yield name


def _matches(modules: list[str] | str | None, name: str) -> bool:
    """PEFT's rule: `modules` is a regular expression for the whole name, or a list of names and ends of names."""
    if modules == "all-linear":
        return True
    if not isinstance(modules, str):
        return any(name == module or name.endswith(f".{module}") for module in modules or ())
    try:
        return re.fullmatch(modules, name) is not None
    except re.error as error:
        raise ChakuError(f"target_modules {modules!r} is not a regular expression ({error})") from None


def _in_layers(fields: dict[str, Any], name: str) -> bool:
    """Whether a module is in a layer of `layers_to_transform`; True when that field is empty."""
    wanted = fields.get("layers_to_transform")
    if wanted is None or wanted == []:
        return True
    patterns = fields.get("layers_pattern") or [r"[^.]*"]
    for pattern in [patterns] if isinstance(patterns, str) else patterns:
        if found := re.match(rf"(?:^|.*?\.){pattern}\.(\d+)\.", name):
            return int(found[1]) in (wanted if isinstance(wanted, list) else [wanted])
    return False


def _by_pattern(patterns: dict[str, Any], name: str, default: Any) -> Any:
    """The value of the first pattern that matches the end of the name, as PEFT's `get_pattern_key`."""
    return next((value for key, value in patterns.items() if re.match(rf"(.*\.)?({key})$", name)), default)


def _saved(model: Llama, names: list[str]) -> Iterator[str]:
    for wanted in names:
        found = [name for name, _ in model.named_modules() if name == wanted or name.endswith(f".{wanted}")]
        if not found:
            raise ChakuError(
                f"modules_to_save names {wanted}, which the model does not have; the adapter belongs to another model"
            )
        yield from found


def _tensors(model: Llama, adapter: _Adapter, directory: Path) -> dict[str, Tensor]:
    """The adapter's tensors by PEFT's names. Raises ChakuError for a missing, unknown or wrongly shaped tensor."""
    candidates = [directory / "adapter_model.safetensors", directory / "adapter_model.bin"]
    path = next((candidate for candidate in candidates if candidate.is_file()), None)
    if path is None:
        raise ChakuError(
            f"{directory} has no weights: neither adapter_model.safetensors nor adapter_model.bin; copy them there"
        )
    shapes: dict[str, tuple[int, ...]] = {}
    for name, config in adapter.targets.items():
        module = model.get_submodule(name)
        first, second = _lora_names(name)
        if isinstance(module, nn.Embedding):
            num_in, num_out = module.num_embeddings, module.embedding_dim
        else:
            num_in, num_out = int(module.in_features), int(module.out_features)  # type: ignore[arg-type]
        shapes[f"{PREFIX}{name}.{first}"] = (config.rank, num_in)
        shapes[f"{PREFIX}{name}.{second}"] = (num_out, config.rank)
        if adapter.dora:
            shapes[f"{PREFIX}{name}.{_MAGNITUDE}"] = (num_out,)
    for name in adapter.saved:
        for parameter_name, parameter in model.get_submodule(name).named_parameters():
            shapes[f"{PREFIX}{name}.{parameter_name}"] = tuple(parameter.shape)
    tensors = {}
    for given, tensor in read_tensors([path]):
        # PEFT before 0.11 wrote this name without `.weight`.
        name = f"{given}.weight" if given.endswith("lora_magnitude_vector") else given
        if name not in shapes:
            if name.endswith(".base_layer.weight"):
                continue  # PEFT also writes the base of an adapted embedding
            raise ChakuError(
                f"{path} has the tensor {name}, which its configuration does not ask for; get the adapter again"
            )
        if tuple(tensor.shape) != shapes[name]:
            raise ChakuError(
                f"{path}: {name} has shape {tuple(tensor.shape)}, but rank and model ask for {shapes[name]}; the "
                "adapter belongs to another model"
            )
        tensors[name] = tensor
    if missing := shapes.keys() - tensors.keys():
        raise ChakuError(
            f"{path} lacks the tensor {min(missing)}, which its configuration asks for; get the adapter again"
        )
    return tensors
