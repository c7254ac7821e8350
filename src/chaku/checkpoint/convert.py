"""Convert a checkpoint between formats, and merge adapters: write beside the target, verify, then rename."""

import dataclasses
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from chaku.checkpoint.find import find_checkpoint
from chaku.checkpoint.formats import load_model, open_checkpoint
from chaku.checkpoint.gguf_write import write_gguf
from chaku.checkpoint.huggingface import build_model, save_config, save_model
from chaku.checkpoint.meta import read_meta, write_meta
from chaku.checkpoint.peft_read import load_adapter
from chaku.checkpoint.weights import write_tensors
from chaku.console import say
from chaku.errors import ChakuError
from chaku.files import atomic_directory, atomic_file
from chaku.model.config import LlamaConfig
from chaku.model.lora import merge_lora
from chaku.tokens.load import has_tokenizer, load_tokenizer
from chaku.tokens.sentencepiece import write_sentencepiece
from chaku.tokens.tokenizer import Tokenizer

Format = Literal["hf", "meta", "gguf"]
DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
# The largest difference of logits that rounding explains, relative to the largest logit, by the target's dtype.
_TOLERANCE = {"f32": 1e-4, "float32": 1e-4, "f16": 1e-2, "float16": 1e-2, "bfloat16": 5e-2, "q8_0": 1e-1}
_KEPT = ("LICENSE*", "USE_POLICY*", "NOTICE*", "README.md", "tokenizer.model")  # files that are copied unchanged
SAMPLE = (2, 64)  # rows and tokens that --verify compares


def convert(
    source: str | Path,
    target: Path,
    to: Format,
    *,
    dtype: str | None = None,
    num_shards: int = 1,
    verify: bool = False,
) -> dict[str, Any]:
    """Convert `source` to `target`, atomically; returns a summary.

    `dtype`: float32, float16 or bfloat16 (default: the source's); for GGUF f32, f16 (default) or q8_0. `num_shards`:
    the number of Meta's model-parallel shards. `verify` compares the logits of both checkpoints on random tokens, and
    writes nothing when they differ by more than rounding to `dtype` explains. Raises ChakuError for a target that
    exists, for a checkpoint that the format cannot hold, and when the verification fails.
    """
    if target.exists():
        raise ChakuError(f"{target} exists; name a new path, or remove it")
    if to == "gguf":
        return _to_gguf(source, target, dtype or "f16", verify)
    if dtype is not None and dtype not in DTYPES:
        raise ChakuError(f"--dtype {dtype} is not one of {', '.join(DTYPES)}; choose one of these")
    opened = open_checkpoint(source)
    tokenizer = _tokenizer(opened.path)
    wanted = DTYPES.get(dtype or "")
    stored: set[torch.dtype] = set()

    def tensors() -> Iterator[tuple[str, Tensor]]:
        for name, tensor in opened.tensors:
            stored.add(wanted or tensor.dtype)
            yield name, tensor.to(wanted or tensor.dtype)

    with atomic_directory(target) as directory:
        if to == "meta":
            write_meta(opened.config, tensors(), directory, num_shards)
            _report_lost_fields(opened.config, directory)
        else:
            write_tensors(tensors(), directory)
            save_config(opened.config, directory, min(stored, key=str))
        if tokenizer is not None:
            tokenizer.save(directory)
        _copy_kept(opened.path, directory)
        if to == "meta" and tokenizer is not None and not (directory / "tokenizer.model").exists():
            if tokenizer.definition["model"].get("byte_fallback"):
                write_sentencepiece(tokenizer, directory / "tokenizer.model")
            else:
                say("the tokenizer is byte-level and written as tokenizer.json; Meta's own code reads tokenizer.model")
        result: dict[str, Any] = {"target": str(target), "format": to, "parameters": opened.config.num_parameters}
        if verify:
            written = open_checkpoint(directory)
            name = str(min(stored, key=str)).removeprefix("torch.")
            result |= _compare(source, written.config, written.tensors, name)
    return result


def _report_lost_fields(config: LlamaConfig, directory: Path) -> None:
    """Print the fields that Meta's params.json cannot hold and that a reader will therefore get wrong."""
    back = read_meta(directory)[0]
    lost = [
        f"{field.name} {getattr(config, field.name)} (read back as {getattr(back, field.name)})"
        for field in dataclasses.fields(config)
        if getattr(config, field.name) != getattr(back, field.name)
    ]
    if lost:
        say(f"Meta's format does not keep {', '.join(lost)}")


def _to_gguf(source: str | Path, target: Path, dtype: str, verify: bool) -> dict[str, Any]:
    opened = open_checkpoint(source)
    tokenizer = _tokenizer(opened.path)
    if tokenizer is None:
        raise ChakuError(f"{opened.path} has no tokenizer, which a GGUF file needs; put its tokenizer.json there")
    with atomic_file(target) as temporary:
        write_gguf(
            opened.config,
            opened.tensors,
            tokenizer,
            temporary,
            dtype=dtype,
            name=opened.path.name.removesuffix(".gguf"),
        )
        result: dict[str, Any] = {"target": str(target), "format": "gguf", "parameters": opened.config.num_parameters}
        if verify:
            written = open_checkpoint(temporary)
            result |= _compare(source, written.config, written.tensors, dtype)
    return result


def _copy_kept(source: Path, target: Path) -> None:
    """Copy licence and readme files. Files beside a GGUF file are not copied: they may belong to other models."""
    for pattern in _KEPT if source.is_dir() else ():
        for file in source.glob(pattern):
            shutil.copyfile(file, target / file.name)


def _tokenizer(path: Path) -> Tokenizer | None:
    if has_tokenizer(path):
        return load_tokenizer(path)
    say(f"{path} has no tokenizer.json or tokenizer.model: only weights and configuration are converted")
    return None


@torch.inference_mode()
def _compare(
    source: str | Path, config: LlamaConfig, tensors: Iterable[tuple[str, Tensor]], dtype: str
) -> dict[str, Any]:
    """Compare the logits of both checkpoints on random tokens. Raises ChakuError when they differ too much.

    Both models compute in the source's dtype, so that equal weights give equal logits.
    """
    opened = open_checkpoint(source)
    ids = torch.randint(0, opened.config.vocab_size, SAMPLE, generator=torch.Generator().manual_seed(0))
    model = build_model(opened.config, opened.tensors, opened.path)
    computed_in = model.lm_head.weight.dtype
    before = model.to(computed_in).eval()(ids).float()
    del model
    after = build_model(config, tensors, Path("the written copy"), computed_in).eval()(ids).float()
    difference = float((before - after).abs().max() / before.abs().max())
    agreement = float((before.argmax(-1) == after.argmax(-1)).float().mean())
    if not difference <= _TOLERANCE[dtype]:
        raise ChakuError(
            f"verification failed: the logits of source and target differ by {difference:.2g} of the largest logit, "
            f"but rounding to {dtype} explains only {_TOLERANCE[dtype]:.0g}; nothing was written"
        )
    return {"largest_difference": difference, "same_best_token": agreement}


def merge(base: str | Path, adapter: Path, target: Path) -> dict[str, Any]:
    """Merge a LoRA adapter in PEFT's format into its base, in the base's dtype, and write a model directory.

    Returns a summary. Raises ChakuError for a target that exists, and for an adapter that does not fit the base.
    """
    if target.exists():
        raise ChakuError(f"{target} exists; name a new path, or remove it")
    path = find_checkpoint(base)
    model = load_model(path, dtype=None)
    load_adapter(model, adapter)
    merge_lora(model)
    tokenizer = _tokenizer(path)
    with atomic_directory(target) as temporary:
        save_model(model, temporary)
        if tokenizer is not None:
            tokenizer.save(temporary)
        _copy_kept(path, temporary)
    return {"target": str(target), "format": "hf", "parameters": model.config.num_parameters}


def in_words(result: dict[str, Any]) -> str:
    """The summary of `convert` or `merge` in one line."""
    text = f"{result['target']}: {result['parameters']:,} parameters in {result['format']} format"
    if "largest_difference" in result:
        text += (
            f"; the logits of source and target differ by at most {result['largest_difference']:.2g} of the largest "
            f"logit, and {result['same_best_token']:.1%} of the most likely tokens are the same"
        )
    return text
