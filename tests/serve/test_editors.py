"""Editors' own clients, headless: llama.vim in Vim, Continue's adapters, and Tabby's language server.

They are not Python packages: docs/serving.md says how to get them into the directory that $CHAKU_EDITORS names.
"""

import json
import os
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


def vim_version():
    shown = subprocess.run(["vim", "--version"], capture_output=True, text=True, check=True).stdout
    return shown.partition("Vi IMproved ")[2].split()[0]


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


@needs("llama.vim", "vim", "tmux", "curl")
def test_llama_vim(url, tmp_path, asked):
    if (version := vim_version()) < "9.1":
        pytest.skip(f"llama.vim needs Vim 9.1, and this is {version}: it is NOT tested")
    file, settings, socket = tmp_path / "add.py", tmp_path / "vimrc", tmp_path / "tmux"
    file.write_text(CODE)
    settings.write_text(
        f"set nocompatible noswapfile viminfo=\n"
        f"let g:llama_config = {{'endpoint_fim': '{url}/infill', 'show_info': 2}}\n"
        f"set runtimepath+={EDITORS / 'llama.vim'}\nruntime plugin/llama.vim\n"
    )

    def tmux(*arguments):
        found = subprocess.run(["tmux", "-S", socket, *arguments], capture_output=True, text=True, check=True)
        return found.stdout

    def shows(text):
        ends = time.monotonic() + 20
        while text not in (screen := tmux("capture-pane", "-p")):
            assert time.monotonic() < ends, screen
            time.sleep(0.1)

    tmux("-f", "/dev/null", "new-session", "-d", "-x", "120", "-y", "30", f"vim -u {settings} {file}")
    try:
        shows("def add(a, b):")
        tmux("send-keys", "2", "G", "A", "x", "BSpace")
        shows("return a + b")  # as ghost text
        assert "return" not in file.read_text()
        tmux("send-keys", "Tab")
        tmux("send-keys", "Escape", ":", "w", "q", "Enter")
        ends = time.monotonic() + 20
        while file.read_text() == CODE and time.monotonic() < ends:
            time.sleep(0.1)
        assert file.read_text() == "def add(a, b):\n    return a + b\n"
    finally:
        subprocess.run(["tmux", "-S", socket, "kill-server"], capture_output=True, check=False)
    prompts = [request.prompt for request in asked]
    assert InfillPrompt("def add(a, b):\n", "\n\n", window=True) in prompts  # of a blank line it sends no indentation


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
