"""Editors' own clients, headless: llama.vim in Vim and Neovim, minuet in Neovim, llama.vscode, Continue's adapters, and
Tabby's language server.

They are not Python packages: docs/serving.md says how to get them into the directory that $CHAKU_EDITORS names.
"""

import json
import os
import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from chaku.inference.engine import Engine
from chaku.inference.generator import InfillPrompt
from chaku.serve.app import build_app
from chaku.serve.models import Served
from chaku.serve.service import Service
from serve.ports import on_a_port

EDITORS = Path(os.environ.get("CHAKU_EDITORS", "-"))
CODE = "def add(a, b):\n    \n"


def needs(path, *programs):
    """Skip, loudly, the tests of a client that is not there."""
    there = (EDITORS / path).exists() and all(map(shutil.which, programs))
    return pytest.mark.skipif(not there, reason=f"without $CHAKU_EDITORS/{path} and {programs} it is NOT tested")


def old(editor, *least):
    """Whether the editor is older than the version that a plugin needs."""
    shown = subprocess.run([editor, "--version"], capture_output=True, text=True, check=True).stdout
    return tuple(map(int, re.search(r"(\d+)\.(\d+)", shown).groups())) < least


class Scripted(Engine):
    """Always writes one text; at the beginning of a line, with its indentation."""

    def row(self, prompt, params, sample=0, grammar=None):
        indent = "    " if self.tokenizer.decode_bytes(prompt.ids).endswith(b"\n") else ""
        return super().row(prompt, params, sample, f'start: "{indent}return a + b"')


@pytest.fixture
def url(engine):
    scripted = Scripted(engine.model, engine.tokenizer)
    with on_a_port(build_app(Served(Service(scripted), "tiny", heals=False))) as address:
        yield address


class Terminal:
    """An editor in a terminal of tmux, with a file and its configuration."""

    def __init__(self, directory, editor, name, settings):
        self._socket, self.file = directory / "tmux", directory / "add.py"
        self.file.write_text(CODE)
        (directory / name).write_text(settings)
        command = {"vim": "vim", "nvim": "nvim --clean -n"}[editor]
        self._tmux("-f", "/dev/null", "new-session", "-d", f"{command} -u {directory / name} {self.file}")

    def __enter__(self):
        self.shows("def add(a, b):")
        return self

    def __exit__(self, *error):
        subprocess.run(["tmux", "-S", self._socket, "kill-server"], capture_output=True, check=False)

    def _tmux(self, *arguments):
        return subprocess.run(
            ["tmux", "-S", self._socket, *arguments], capture_output=True, text=True, check=True
        ).stdout

    def keys(self, *keys):
        self._tmux("send-keys", *keys)

    def shows(self, text):
        ends = time.monotonic() + 20
        while text not in (screen := self._tmux("capture-pane", "-p")):
            assert time.monotonic() < ends, screen
            time.sleep(0.1)

    def accepted(self):
        """The file after Tab has accepted the text, and the editor has written it."""
        self.keys("Tab")
        self.shows("2,17")  # the cursor behind the text
        self.keys("Escape", ":", "w", "q", "Enter")
        ends = time.monotonic() + 20
        while self.file.read_text() == CODE and time.monotonic() < ends:
            time.sleep(0.1)
        return self.file.read_text()


@pytest.mark.parametrize(
    ("editor", "least"),
    [
        pytest.param("vim", (9, 1), marks=needs("llama.vim", "vim", "tmux", "curl")),
        pytest.param("nvim", (0, 10), marks=needs("llama.vim", "nvim", "tmux", "curl")),
    ],
)
def test_llama_vim(url, tmp_path, asked, editor, least):
    if old(editor, *least):
        pytest.skip(f"llama.vim needs {editor} {least}: it is NOT tested")
    settings = (
        f"set nocompatible noswapfile viminfo= ruler\n"
        f"let g:llama_config = {{'endpoint_fim': '{url}/infill', 'show_info': 2}}\n"
        f"set runtimepath+={EDITORS / 'llama.vim'}\nruntime plugin/llama.vim\n"
    )
    with Terminal(tmp_path, editor, "init.vim", settings) as terminal:
        terminal.keys("2", "G", "A", "x", "BSpace")
        terminal.shows("return a + b")  # as ghost text
        assert "return" not in terminal.file.read_text()
        assert terminal.accepted() == "def add(a, b):\n    return a + b\n"
    prompts = [request.prompt for request in asked]
    assert InfillPrompt("def add(a, b):\n", "\n\n", window=True) in prompts  # of a blank line it sends no indentation


MINUET = """
vim.opt.runtimepath:append('%s')
require('minuet').setup {
  provider = 'openai_fim_compatible',
  virtualtext = { auto_trigger_ft = { '*' }, keymap = { accept = '<Tab>' } },
  provider_options = { openai_fim_compatible = {
    api_key = 'TERM', name = 'chaku', model = 'chaku', end_point = '%s/v1/completions',
    optional = { max_tokens = 56, temperature = 0 },
  } },
}
"""


@needs("minuet-ai.nvim", "nvim", "tmux", "curl")
def test_minuet(url, tmp_path, asked):
    if old("nvim", 0, 10):
        pytest.skip("minuet needs Neovim 0.10: it is NOT tested")
    with Terminal(tmp_path, "nvim", "init.lua", MINUET % (EDITORS / "minuet-ai.nvim", url)) as terminal:
        terminal.keys("2", "G", "A", "x", "BSpace")
        terminal.shows("return a + b")  # as virtual text
        assert "return" not in terminal.file.read_text()
        assert terminal.accepted() == "def add(a, b):\n    return a + b\n"
    told = "# language: python\n# indentation: use 4 spaces for a tab\n"
    assert {request.prompt for request in asked} == {InfillPrompt(f"{told}def add(a, b):\n    ", "\n", window=True)}


CONTINUE = """
import { constructLlmApi } from "@continuedev/openai-adapters";
const [provider, apiBase] = process.argv.slice(2);
const api = constructLlmApi({ provider, apiBase, apiKey: "" });
const abort = new AbortController();
const body = { model: "codestral", prompt: "def add(a, b):\\n    ", max_tokens: 30, stream: true };
const found = { fim: "", completion: "", models: (await api.list()).map((model) => model.id) };
for await (const chunk of api.fimStream({ ...body, suffix: "\\n" }, abort.signal))
  found.fim += chunk.choices[0].delta.content ?? "";
for await (const chunk of api.completionStream(body, abort.signal)) found.completion += chunk.choices[0].text ?? "";
console.log(JSON.stringify(found));
"""


@needs("node_modules/@continuedev/openai-adapters", "node")
@pytest.mark.parametrize("provider", ["mistral", "openai", "vllm"])
def test_continue(url, provider, asked):
    command = ["node", "--input-type=module", "-", provider, f"{url}/v1/"]
    found = subprocess.run(command, input=CONTINUE, cwd=EDITORS, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
    written = "return a + b"
    assert json.loads(found.stdout) == {"fim": written, "completion": written, "models": ["tiny"]}
    assert asked[0].prompt == InfillPrompt("def add(a, b):\n    ", "\n", window=True)


@needs("llama.vscode/dist/extension.js", "node")
def test_llama_vscode(url, asked):
    command = ["node", Path(__file__).with_name("llama_vscode.cjs"), EDITORS / "llama.vscode", url]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
    [item] = json.loads(found.stdout.rpartition("items ")[2])
    here = {"line": 1, "character": 4}
    assert item == {"insertText": "return a + b", "range": {"start": here, "end": here}}
    assert asked[0].prompt == InfillPrompt("def add(a, b):\n", "\n\n", window=True)


class LanguageServer:
    """A language server on its standard input and output."""

    def __init__(self, command, **settings):
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, **settings)
        self._number = 0

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._process.kill()
        self._process.communicate()

    def notify(self, method, params, **more):
        message = json.dumps({"jsonrpc": "2.0", "method": method, "params": params, **more}).encode()
        self._process.stdin.write(b"Content-Length: %d\r\n\r\n%s" % (len(message), message))
        self._process.stdin.flush()

    def ask(self, method, params):
        self._number += 1
        self.notify(method, params, id=self._number)
        while True:
            message = self._read()
            if message.get("id") == self._number and "method" not in message:
                return message["result"]
            if "id" in message:  # its own question
                answer = json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": None}).encode()
                self._process.stdin.write(b"Content-Length: %d\r\n\r\n%s" % (len(answer), answer))
                self._process.stdin.flush()

    def _read(self):
        length = 0
        while (line := self._process.stdout.readline().strip()) or not length:
            assert self._process.poll() is None
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        return json.loads(self._process.stdout.read(length))


@needs("node_modules/tabby-agent", "node")
def test_tabby_agent(url, tmp_path, asked):
    home = {**os.environ, "HOME": str(tmp_path), "TABBY_DISABLE_USAGE_COLLECTION": "1"}
    config = tmp_path / ".tabby-client" / "agent" / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text(f'[server]\nendpoint = "{url}"\n[anonymousUsageTracking]\ndisable = true\n')
    command = ["node", EDITORS / "node_modules/tabby-agent/dist/cli.js", "--lsp", "--stdio"]
    document = {"uri": (tmp_path / "add.py").as_uri()}
    with LanguageServer(command, env=home) as server:
        capabilities = {"textDocument": {"completion": {}, "inlineCompletion": {}}}
        server.ask("initialize", {"processId": None, "rootUri": None, "capabilities": capabilities})
        server.notify("initialized", {})
        opened = {**document, "languageId": "python", "version": 1, "text": CODE}
        server.notify("textDocument/didOpen", {"textDocument": opened})
        position = {"line": 1, "character": 4}
        found = server.ask(
            "textDocument/completion", {"textDocument": document, "position": position, "context": {"triggerKind": 1}}
        )
        assert [item["textEdit"]["newText"] for item in found["items"]] == ["return a + b"]
        event = {"type": "view", "eventId": {"completionId": "cmpl-1", "choiceIndex": 0}}
        server.notify("tabby/telemetry/event", event)
    assert asked[0].prompt == InfillPrompt("def add(a, b):\n    ", "\n", window=True)
