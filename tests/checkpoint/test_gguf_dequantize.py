"""Every type of weights that a GGUF file may have, against the gguf package, to the bit."""

from concurrent.futures import ThreadPoolExecutor
from math import prod

import gguf
import numpy as np
import pytest
import torch

from chaku import ChakuError
from chaku.checkpoint import gguf_dequantize
from chaku.checkpoint.gguf_dequantize import read_stored
from chaku.gguf_file import StoredTensor

KINDS = [kind for kind in gguf.GGMLQuantizationType if kind in gguf.quants._type_traits and kind.name != "BF16"]
OFFSET = 64


def stored(path, kind, shape, content: bytes) -> StoredTensor:
    path.write_bytes(b"\0" * OFFSET + content)
    return StoredTensor("blk.0.attn_q.weight", shape, kind, path, OFFSET, len(content))


def random_bytes(kind, shape) -> bytes:
    block_size, block_bytes = gguf.GGML_QUANT_SIZES[kind]
    count = prod(shape) // block_size * block_bytes
    return np.random.default_rng(kind.value).integers(0, 256, count, dtype=np.uint8).tobytes()


def same(ours: torch.Tensor, theirs: np.ndarray) -> bool:
    return np.array_equal(ours.numpy(), theirs, equal_nan=True)


@pytest.mark.parametrize("kind", KINDS, ids=[kind.name for kind in KINDS])
def test_random_blocks(kind, tmp_path, monkeypatch):
    """Random scales are also infinite or no numbers. Chunks of 4,096 weights, so that there are several."""
    monkeypatch.setattr(gguf_dequantize, "_CHUNK", 4096)
    shape = (24, 768)
    tensor = stored(tmp_path / "weights", kind, shape, random_bytes(kind, shape))
    with np.errstate(all="ignore"):
        theirs = gguf.dequantize(np.fromfile(tensor.path, np.uint8, offset=OFFSET).reshape(24, -1), kind)
    ours = read_stored(tensor, None)
    assert (ours.dtype, ours.shape) == (torch.float32, shape)
    assert same(ours, theirs)
    with ThreadPoolExecutor(2) as pool:
        assert same(read_stored(tensor, torch.float32, pool=pool), theirs)
        half = read_stored(tensor, torch.bfloat16, pool=pool)
    assert torch.equal(half.nan_to_num(), torch.from_numpy(theirs).bfloat16().nan_to_num())


@pytest.mark.parametrize("name", ["Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0"])
def test_quantised_weights_come_back(name, tmp_path):
    kind = gguf.GGMLQuantizationType[name]
    weights = np.random.default_rng(0).normal(size=(8, 64)).astype(np.float32)
    content = gguf.quantize(weights, kind).tobytes()
    back = read_stored(stored(tmp_path / "weights", kind, (8, 64), content), None).numpy()
    assert np.abs(back - weights).max() < {"Q4": 0.4, "Q5": 0.2, "Q8": 0.03}[name[:2]]


@pytest.mark.parametrize("name", ["F32", "F16", "BF16", "F64", "I8", "I16", "I32", "I64"])
def test_plain_types(name, tmp_path):
    kind = gguf.GGMLQuantizationType[name]
    values = torch.arange(-12, 12).view(4, 6)
    dtypes = {"F": "float", "BF": "bfloat", "I": "int"}
    dtype = getattr(torch, dtypes[name.rstrip("0123456789")] + name.lstrip("BFI"))
    content = values.to(dtype).view(torch.uint8).numpy().tobytes()
    tensor = stored(tmp_path / "weights", kind, (4, 6), content)
    own = read_stored(tensor, None)
    assert own.dtype == (dtype if name in ("F32", "F16", "BF16") else torch.float32)
    assert torch.equal(own.float(), values.float())
    assert read_stored(tensor, torch.bfloat16).dtype == torch.bfloat16


def test_what_is_stored_in_the_dtype_stays_in_the_file(tmp_path):
    """It is the map, which is written to by nobody: the file does not change."""
    tensor = stored(tmp_path / "weights", gguf.GGMLQuantizationType.F32, (2, 2), np.ones(4, np.float32).tobytes())
    before = tensor.path.read_bytes()
    mapped = read_stored(tensor, torch.float32)
    mapped += 1
    assert mapped.sum() == 8
    assert tensor.path.read_bytes() == before


@pytest.mark.parametrize("name", ["F32", "Q8_0", "Q4_K"])
def test_rows_of_turned_heads_are_reordered(name, tmp_path):
    """Rows 0, 1, 2, 3... of a head are a pair each in the file; here all first halves stand before all second."""
    kind = gguf.GGMLQuantizationType[name]
    tensor = stored(tmp_path / "weights", kind, (16, 256), random_bytes(kind, (16, 256)))
    rows = read_stored(tensor, torch.float32)
    turned = read_stored(tensor, torch.float32, pairs=2)
    order = [0, 2, 4, 6, 1, 3, 5, 7, 8, 10, 12, 14, 9, 11, 13, 15]
    assert torch.equal(turned.nan_to_num(), rows[order].nan_to_num())
    with pytest.raises(ChakuError, match="16 rows, which are not 3 heads"):
        read_stored(tensor, None, pairs=3)


def test_a_type_that_nothing_dequantises_is_named(tmp_path):
    kind = gguf.GGMLQuantizationType.Q8_K
    tensor = stored(tmp_path / "weights", kind, (1, 256), random_bytes(kind, (1, 256)))
    with pytest.raises(ChakuError, match=r"blk.0.attn_q.weight is of type Q8_K, which .* another quantisation"):
        read_stored(tensor, None)
