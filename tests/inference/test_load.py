"""What is loaded when nothing is said, and what does not go together."""

import re

import pytest
import torch

from chaku import ChakuError
from chaku.checkpoint.huggingface import save_model
from chaku.cli import main
from chaku.inference import load
from chaku.inference.decoder import Span
from chaku.inference.load import load_engine
from chaku.inference.torch_decoder import TorchDecoder
from chaku.model.quantization import is_quantized

PROMPTS = [[1, 40, 50, 60], [1, 70]]


@pytest.fixture(scope="module")
def directory(engine, tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "tiny"
    save_model(engine.model, path)
    engine.tokenizer.save(path)
    return path


@pytest.fixture
def without_openvino(monkeypatch):
    monkeypatch.setattr(load, "openvino_problem", lambda: "OpenVINO is not installed: pip install 'chaku[fast]'")


def logits(engine):
    cache = engine.decoder.with_blocks(len(PROMPTS))
    return cache.forward([Span(prompt, 0, [number]) for number, prompt in enumerate(PROMPTS)])


def test_openvino_is_taken_where_it_is_installed(engine, directory, monkeypatch):
    pytest.importorskip("chaku.inference.openvino_import")
    assert isinstance(load_engine(directory, device="cpu").decoder, TorchDecoder)  # the model is too small to gain
    monkeypatch.setattr(load, "SMALL", 0)
    fast = load_engine(directory, device="cpu")
    assert fast.decoder.name.startswith("openvino 2")
    assert fast.decoder.precision == "float32"
    torch.testing.assert_close(logits(fast), logits(engine), atol=1e-4, rtol=0)
    packed = load_engine(directory, "int8", device="cpu")
    assert packed.decoder.precision == "int8"
    assert 0 < (logits(packed) - logits(engine)).abs().max() < 0.2 * logits(engine).std()
    assert packed.decoder.weights_bytes() < fast.decoder.weights_bytes() / 2
    assert packed.decoder.weights_sha256() == fast.decoder.weights_sha256()  # the file's


@pytest.mark.usefixtures("without_openvino")
def test_pytorch_is_the_fallback(engine, directory):
    slow = load_engine(directory, device="cpu")
    assert isinstance(slow.decoder, TorchDecoder)
    assert slow.decoder.precision == "float32"
    torch.testing.assert_close(logits(slow), logits(engine), atol=1e-5, rtol=0)
    with pytest.raises(ChakuError, match=r"--decoder openvino: OpenVINO is not installed: pip install 'chaku\[fast\]'"):
        load_engine(directory, device="cpu", decoder="openvino")


@pytest.mark.parametrize("scheme", ["int8", "int4"])
def test_pytorch_quantises(scheme, directory):
    """int4 computes in bfloat16: with float32 its kernel takes 25 times as long."""
    engine = load_engine(directory, scheme, device="cpu", decoder="torch")
    assert any(is_quantized(weight) for weight in engine.model.parameters())
    dtype = "bfloat16" if scheme == "int4" else "float32"
    assert engine.decoder.precision.startswith(f"{dtype}, Int{scheme[-1]}")


def test_pytorch_computes_in_the_stored_dtype_where_that_is_fast(engine, tmp_path, monkeypatch):
    save_model(engine.model, tmp_path)  # float32 in the file of a fixture that others share
    engine.tokenizer.save(tmp_path)
    for dtype in ("bfloat16", "float16", "float32"):
        chosen = load_engine(tmp_path, device="cpu", decoder="torch", dtype=dtype)
        assert chosen.decoder.precision == dtype
    config = tmp_path / "config.json"
    config.write_text(config.read_text().replace("float32", "bfloat16"))
    for computes, expected in ((True, "bfloat16"), (False, "float32")):
        monkeypatch.setattr(load, "computes_bfloat16", lambda computes=computes: computes)
        assert load_engine(tmp_path, device="cpu", decoder="torch").decoder.precision == expected
    monkeypatch.setattr(load, "free_memory", lambda device: 2**18)  # float32 would take more than half of it
    assert load._torch_dtype(tmp_path, torch.device("cpu"), None, None) == torch.bfloat16


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--device", "tpu9"], "--device tpu9 is not a device; give cpu, cuda"),
        (["--device", "cuda:99"], "PyTorch finds .* NVIDIA GPUs; give cpu"),
        (["--dtype", "float8"], "--dtype float8 is not a dtype; give float32, float16, bfloat16"),
        (["--device", "cpu", "--decoder", "torch", "--quantize", "int4", "--dtype", "float32"], "leave --dtype out"),
    ],
)
def test_mistakes_are_said(options, message, directory, capsys):
    assert main(["complete", str(directory), "x", *options]) == 2
    assert re.search(message, capsys.readouterr().err)


def test_openvino_is_for_processors(directory):
    with pytest.raises(ChakuError, match="computes on a processor, not on meta"):
        load_engine(directory, device="meta", decoder="openvino")


def test_from_the_command_line(directory, capsys):
    for options in ([], ["--decoder", "torch"], ["--dtype", "bfloat16"], ["--quantize", "int8"]):
        assert main(["complete", str(directory), "def", "--max-tokens", "3", "--device", "cpu", *options]) == 0
        assert capsys.readouterr().out.startswith("def")
