"""Loads a checkpoint for inference: chooses the device, the dtype and the decoder."""

import platform
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

import torch

from chaku.checkpoint.find import find_checkpoint
from chaku.checkpoint.formats import load_model, open_checkpoint, open_packed, sha256_checkpoint
from chaku.checkpoint.huggingface import checked_tensors
from chaku.checkpoint.memory import check_memory, stored_dtype
from chaku.checkpoint.peft_read import read_updates
from chaku.console import detail
from chaku.errors import ChakuError
from chaku.gguf_file import is_gguf, read_gguf_file
from chaku.inference.decoder import Decoder
from chaku.inference.engine import Engine
from chaku.inference.torch_decoder import TorchDecoder
from chaku.machine import computes_bfloat16
from chaku.model.adapters import Adapters
from chaku.model.llama import Llama
from chaku.model.memory import free_memory, model_memory
from chaku.model.quantization import Scheme
from chaku.tokens.load import load_tokenizer

DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
# Parameters of a small model: OpenVINO does not make it faster, and reads rows of 8,192 tokens five times slower.
SMALL = 2**25


def load_engine(
    name: str | Path,
    scheme: Scheme | None = None,
    *,
    dtype: str | None = None,
    device: str | None = None,
    decoder: str | None = None,
    adapters: Mapping[str, Path] | None = None,
) -> Engine:
    """The engine of a checkpoint: a path, a name of the catalogue, or a Hub id.

    Defaults: `device` is the GPU if there is one; `decoder` is OpenVINO on an x86-64 processor, where OpenVINO is
    installed and the model has more than SMALL parameters; `dtype` is the stored dtype. Quantised weights of a GGUF
    file become int8 for OpenVINO; for PyTorch they become float32, or bfloat16 where the processor computes it. Raises
    ChakuError for a missing or incomplete checkpoint, for a model larger than the memory, and for arguments that
    contradict each other.
    """
    path = find_checkpoint(name)
    detail(f"checkpoint: {path}")
    where = find_device(device)
    with ThreadPoolExecutor(1) as beside:
        tokenizer = beside.submit(load_tokenizer, path)  # a large vocabulary takes as long as the weights
        beside_base = _read_adapters(path, adapters or {})
        loaded = _load(path, where, scheme, find_dtype(dtype), decoder, beside_base)
        engine = Engine(loaded, tokenizer.result())
    detail(f"decoder: {engine.decoder.name}, on {where}, weights in {engine.decoder.precision}")
    return engine


def _load(
    path: Path,
    device: torch.device,
    scheme: Scheme | None,
    dtype: torch.dtype | None,
    decoder: str | None,
    adapters: Adapters,
) -> Llama | Decoder:
    if decoder is None:
        suits = device.type == "cpu" and scheme != "nf4" and openvino_problem() is None
        decoder = "openvino" if suits and open_checkpoint(path).config.num_parameters > SMALL else "torch"
    if decoder == "openvino":
        return _load_openvino(path, device, scheme, dtype, adapters)
    dtype = _torch_dtype(path, device, scheme, dtype)
    model = load_model(path, dtype=dtype, device=device, scheme=scheme).eval()
    return TorchDecoder(model, adapters) if adapters.names else model


def _read_adapters(path: Path, adapters: Mapping[str, Path]) -> Adapters:
    if not adapters:
        return Adapters()
    config = open_checkpoint(path).config
    return Adapters(tuple(adapters), tuple(read_updates(config, directory) for directory in adapters.values()))


def find_device(name: str | None) -> torch.device:
    """A device by its name; None: the GPU if there is one, else the processor.

    Raises ChakuError for an unknown or absent device.
    """
    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise ChakuError(f"--device {name} is not a device; give cpu, cuda, cuda:1 or mps") from None
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ChakuError(f"--device {name}: PyTorch finds {torch.cuda.device_count() or 'no'} NVIDIA GPUs; give cpu")
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise ChakuError("--device mps: PyTorch finds no Apple GPU on this machine; give cpu")
    return device


def find_dtype(name: str | None) -> torch.dtype | None:
    """A dtype by its name. Raises ChakuError for a name that is not in DTYPES."""
    if name is not None and name not in DTYPES:
        raise ChakuError(f"--dtype {name} is not a dtype; give {', '.join(DTYPES)}")
    return None if name is None else DTYPES[name]


def openvino_problem() -> str | None:
    """Why this machine cannot use OpenVINO; None when it can."""
    if platform.machine().lower() not in ("x86_64", "amd64"):
        return f"chaku was not tested with OpenVINO on {platform.machine()} processors"
    if find_spec("openvino") is None:
        return "OpenVINO is not installed: pip install 'chaku[fast]'"
    return None


def _torch_dtype(
    path: Path, device: torch.device, scheme: Scheme | None, asked: torch.dtype | None
) -> torch.dtype | None:
    """The dtype of PyTorch's weights. A processor without 16-bit products computes in float32."""
    stored = _stored_dtype(path)
    if device.type != "cpu":
        return asked or stored or torch.bfloat16
    if scheme == "int4":  # its kernel takes 25 times as long with float32
        if asked not in (None, torch.bfloat16):
            raise ChakuError("--quantize int4 on a processor computes in bfloat16; leave --dtype out")
        return torch.bfloat16
    if asked is not None:
        return asked
    if stored != torch.float32 and stored != torch.float16 and computes_bfloat16():
        return torch.bfloat16
    room = free_memory(device)
    if stored is not None and room is not None and scheme is None:
        config = open_checkpoint(path).config
        if model_memory(config, torch.float32) > room / 2:
            return stored  # slower, but leaves memory for other programs
    return torch.float32


def _stored_dtype(path: Path) -> torch.dtype | None:
    """The dtype of a checkpoint's matrices; None for quantised matrices."""
    if not is_gguf(path):
        return stored_dtype(path) or torch.bfloat16  # Meta's files are bfloat16 or float16
    kinds = {tensor.kind.name for tensor in read_gguf_file(path).tensors if len(tensor.shape) == 2}
    plain = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
    return plain[next(iter(kinds))] if len(kinds) == 1 and kinds <= plain.keys() else None


def _load_openvino(
    path: Path, device: torch.device, scheme: Scheme | None, dtype: torch.dtype | None, adapters: Adapters
) -> Decoder:
    if device.type != "cpu":
        raise ChakuError(f"--decoder openvino computes on a processor, not on {device}; leave --device out")
    if scheme == "nf4":
        raise ChakuError("--quantize nf4 is for training; give int8 or int4")
    if problem := openvino_problem():
        raise ChakuError(f"--decoder openvino: {problem}")
    from chaku.inference.openvino_decoder import OpenVinoDecoder
    from chaku.model.packing import pack_weights

    stored = _stored_dtype(path)
    if scheme is None and dtype is None and stored is None:
        scheme = "int8"  # a GGUF file: int8 is nearly as exact as its own quantisation, and faster
    kept = dtype or stored or torch.float32
    opened = open_packed(path) if scheme == "int8" else open_checkpoint(path)
    check_memory(opened.config, path, torch.bfloat16 if scheme else kept, device, scheme)
    tensors = checked_tensors(opened.config, opened.tensors, path)
    return OpenVinoDecoder(
        opened.config,
        pack_weights(tensors, scheme, kept),
        precision=scheme or str(kept).removeprefix("torch."),
        exact=scheme is None and kept == torch.float32,
        sha256=lambda: sha256_checkpoint(path),
        adapters=adapters,
    )
