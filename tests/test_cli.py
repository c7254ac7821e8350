"""Every verb, as a user types it: what it prints, its exit status, its one-line errors."""

import io
import json
import re
import signal
import subprocess
import sys
import time

import pytest
import torch

from chaku.checkpoint.huggingface import save_model
from chaku.cli import main
from chaku.model.config import PRESETS
from chaku.model.llama import Llama
from chaku.tokens.tokenizer_training import train_tokenizer
from family import write_files, write_recipe


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    directory = tmp_path_factory.mktemp("checkpoint")
    torch.manual_seed(0)
    save_model(Llama(PRESETS["tiny"]), directory)
    train_tokenizer(["def add(a, b):\n    return a + b ☺ für\n", "for x in range(10):\n    print(x)\n"], 310).save(
        directory
    )
    return directory


def test_complete_streams_and_prints_json(checkpoint, capsys):
    common = ["complete", str(checkpoint), "def f", "--max-tokens", "8", "--temperature", "0.8", "--top-p", "0.9"]
    assert main([*common, "--seed", "3"]) == 0
    streamed = capsys.readouterr().out
    assert streamed.startswith("def f")
    assert main([*common, "--seed", "3", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert streamed == "def f" + answer["text"] + ("" if answer["text"].endswith("\n") else "\n")
    assert main([*common, "--num-samples", "3"]) == 0
    shown = capsys.readouterr()
    assert len(shown.out.splitlines()) == 3
    assert shown.err == ""
    assert main([*common, "--num-samples", "3", "--temperature", "0"]) == 0
    assert "the 3 samples of a prompt are the same text; give --temperature" in capsys.readouterr().err


def test_complete_reads_standard_input_and_stops_before_a_text(checkpoint, capsys, monkeypatch):
    common = ["complete", str(checkpoint), "-", "--max-tokens", "30", "--temperature", "1", "--seed", "4", "--json"]

    def run(*more):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"def f")))
        assert main([*common, *more]) == 0
        return json.loads(capsys.readouterr().out)

    whole = run()
    [stop] = re.findall("[a-zA-Z0-9]{2}", whole["text"])[:1]
    expected = {"text": whole["text"][: whole["text"].index(stop)], "finish_reason": "stop", "prompt_tokens_cut": 0}
    assert run("--stop", stop) == expected
    assert run("--stop", "never written", "--stop", stop) == expected
    assert run("--seed", "5") != whole


def test_a_text_longer_than_the_context_is_cut_and_that_is_said(checkpoint, capsys, tmp_path):
    long = "value = 1\n" * 50
    assert main(["complete", str(checkpoint), long, "--max-tokens", "8", "--json", "--quiet"]) == 0
    shown = capsys.readouterr()
    assert "the beginning is cut" in shown.err  # quiet or not
    assert json.loads(shown.out)["prompt_tokens_cut"] > 100
    file = tmp_path / "long.py"
    file.write_text(f"{long}<FILL_ME>\n{long}")
    for mode in ("psm", "spm"):
        assert main(["infill", str(checkpoint), str(file), "--max-tokens", "8", "--mode", mode, "--json"]) == 0
        shown = capsys.readouterr()
        assert "its ends, furthest from the hole, are left out" in shown.err
        assert json.loads(shown.out)["finish_reason"] in ("stop", "length")
        assert json.loads(shown.out)["prompt_tokens_cut"] > 100


def test_standard_input_that_is_not_utf8_and_an_output_that_is_full(checkpoint, capsys, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"caf\xe9")))
    assert main(["complete", str(checkpoint)]) == 2
    assert capsys.readouterr().err == (
        "chaku: standard input is not UTF-8 (byte 4); convert it, as with iconv -f latin1 -t utf-8\n"
    )
    command = [sys.executable, "-m", "chaku.cli", "models"]
    program = "import sys\nfrom chaku.cli import main\nsys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", program, "models", "--json"]
    with open("/dev/full", "w") as full:  # noqa: PTH123
        ended = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (
        2,
        "chaku: cannot read or write the output: No space left on device\n",
    )


@pytest.mark.parametrize("mode", ["psm", "spm"])
def test_infill_a_file_or_two_texts(checkpoint, capsys, tmp_path, mode):
    file = tmp_path / "hole.py"
    file.write_text("def f(a):\n<FILL_ME>\n    return b\n")
    common = ["--max-tokens", "8", "--mode", mode]
    assert main(["infill", str(checkpoint), str(file), "--whole", *common]) == 0
    whole = capsys.readouterr().out
    assert whole.startswith("def f(a):\n")
    assert whole.endswith("\n    return b\n")
    texts = ["--prefix", "def f(a):\n", "--suffix", "\n    return b\n"]
    assert main(["infill", str(checkpoint), *texts, *common]) == 0
    assert whole.startswith("def f(a):\n" + capsys.readouterr().out.rstrip("\n"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["complete", "/nowhere", "x"], "there is no model /nowhere, neither as a path nor in the catalogue"),
        (["complete", "x = 1\n" * 100, "x"], "neither as a path nor in the catalogue"),
        (["complete", "CHECKPOINT", "x", "--max-tokens", "0"], "--max-tokens is 0; it must be at least 1"),
        (["infill", "CHECKPOINT", "/nowhere.py"], "cannot read /nowhere.py"),
        (["infill", "CHECKPOINT", "NO_MARK"], "exactly one"),
        (["infill", "CHECKPOINT", "NO_MARK", "--prefix", "x"], "a file, or --prefix and --suffix: not both"),
        (["complete", "CHECKPOINT", "x", "--temperature", "-1"], "temperature is -1.0"),
        (["complete", "CHECKPOINT", "x", "--max-tokens", "64"], "fills the context"),
        (
            ["eval", "run", "CHECKPOINT", "--benchmark", "perplexity", "--corpus", "/nowhere"],
            "/nowhere has no heldout-",
        ),
        (["run", "/nowhere.toml"], "does not exist"),
        (["run", "PARENT"], "cannot read PARENT: is a directory"),
        (["run", "NO_MARK"], "NO_MARK is not a recipe in TOML: "),
        (["eval", "run", "CHECKPOINT", "--benchmark", "first_steps", "--out", "/proc/new"], "/proc/new: No such file"),
        (["report", "/nowhere"], "/nowhere is not a run: it has no recipe.json"),
        (["report", "CHECKPOINT"], "is not a run: it has no recipe.json"),
        (["complete", "NO_MARK", "x"], "is not a checkpoint: it is a file, but not a GGUF file"),
        (["complete", "PARENT", "x"], "it has no config.json; name one in it: CHECKPOINT"),
        (["merge", "CHECKPOINT", "PARENT", "OUT"], "is not a LoRA adapter: it has no adapter_config.json"),
        (["eval", "compare", "PARENT", "PARENT"], "there is no result in PARENT; `chaku eval run`"),
        (["corpus", "build", "--out", "OUT"], "no sources"),
        (["corpus", "build", "/nowhere", "--out", "OUT"], "the source /nowhere does not exist"),
    ],
)
def test_mistakes_are_one_line_and_status_2(checkpoint, tmp_path, capsys, arguments, message):
    (tmp_path / "plain.py").write_text("no mark\n")
    places = {
        "CHECKPOINT": str(checkpoint),
        "PARENT": str(checkpoint.parent),
        "OUT": str(tmp_path / "out"),
        "NO_MARK": str(tmp_path / "plain.py"),
    }
    assert main([places.get(argument, argument) for argument in arguments]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("chaku: ")
    for name, path in places.items():
        message = message.replace(name, path)
    assert message in shown.err
    assert shown.err.count("\n") == 1 + arguments[1].count("\n")
    assert not (checkpoint / "report.html").exists()


def test_a_truncated_checkpoint_is_named(checkpoint, tmp_path, capsys):
    for file in checkpoint.iterdir():
        data = file.read_bytes()
        (tmp_path / file.name).write_bytes(data[: len(data) // 2] if file.suffix == ".safetensors" else data)
    assert main(["complete", str(tmp_path), "x"]) == 2
    assert "model.safetensors" in capsys.readouterr().err


def test_corpus_build_and_eval(checkpoint, tmp_path, capsys):
    write_files(tmp_path / "files", 60)
    assert main(["corpus", "build", str(tmp_path / "files"), "--out", str(tmp_path / "corpus"), "--json"]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert sum(row["documents"] for row in summary["kept"]) == 180
    arguments = ["--corpus", str(tmp_path / "corpus"), "--out", str(tmp_path / "results"), "--json"]
    assert main(["eval", "run", str(checkpoint), "--benchmark", "bits_per_byte", *arguments]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result == json.loads((tmp_path / "results" / "results.json").read_text())


def test_python_m_is_the_same_command(tmp_path):
    command = [sys.executable, "-m", "chaku", "eval", "score", "--benchmark", "nothing", "--samples", str(tmp_path)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert ended.stderr.startswith("chaku: there is no benchmark 'nothing'")


def test_doctor(capsys):
    assert main(["doctor"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any("sandbox" in line for line in lines)
    assert main(["doctor", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["status"] for row in rows] == [line.split()[0] for line in lines]
    assert {row["status"] for row in rows} <= {"ok", "optional", "missing"}


def test_verbose_says_what_computes(checkpoint, capsys):
    command = ["complete", str(checkpoint), "def f", "--max-tokens", "4"]
    assert main([*command, "--verbose", "--device", "cpu", "--decoder", "torch", "--dtype", "float32"]) == 0
    assert capsys.readouterr().err.splitlines() == [
        f"checkpoint: {checkpoint}",
        "decoder: torch, on cpu, weights in float32",
    ]
    assert main(command) == 0
    assert capsys.readouterr().err == ""


def test_a_model_that_does_not_infill_is_told_what_to_type(checkpoint, tmp_path, capsys):
    for file in checkpoint.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    tokenizer = json.loads((tmp_path / "tokenizer.json").read_text())
    marks = ("\u2581<PRE>", "\u2581<SUF>", "\u2581<MID>", "\u2581<EOT>")
    tokenizer["added_tokens"] = [token for token in tokenizer["added_tokens"] if token["content"] not in marks]
    (tmp_path / "tokenizer.json").write_text(json.dumps(tokenizer))
    assert main(["infill", str(tmp_path), "--prefix", "a", "--suffix", "b"]) == 2
    assert "`chaku models` says which models can infill" in capsys.readouterr().err


def test_quiet_says_nothing(tmp_path, capsys):
    write_files(tmp_path / "files", 30)
    try:
        assert main(["corpus", "build", str(tmp_path / "files"), "--out", str(tmp_path / "corpus"), "--quiet"]) == 0
        assert capsys.readouterr().err == ""
    finally:
        assert main(["doctor"]) == 0  # resets --quiet for the tests that follow


def test_sigterm_saves_and_the_same_command_goes_on(tmp_path, capsys):
    recipe = write_recipe(tmp_path)
    command = [sys.executable, "-m", "chaku", "run", str(recipe), "--out", str(tmp_path / "run")]
    command += ["--set", "base.training.tokens=1024", "--set", "evals.stages=[]"]
    first = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    metrics = tmp_path / "run" / "stages" / "code" / "metrics.jsonl"
    deadline = time.monotonic() + 120
    while not (metrics.exists() and len(metrics.read_text().splitlines()) > 1):
        assert time.monotonic() < deadline
        assert first.poll() is None
        time.sleep(0.05)
    first.send_signal(signal.SIGTERM)
    _, errors = first.communicate(timeout=60)
    assert first.returncode == 130, errors
    assert "stopped and saved at step" in errors
    assert main(command[3:]) == 0  # in this process, which has imported torch
    said = capsys.readouterr()
    assert "code: going on at step" in said.err
    assert said.out.strip().endswith("report.html")
