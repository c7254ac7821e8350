"""The pages that are made from the code have everything that the code has; the site loads nothing from elsewhere."""

import dataclasses
import re
import subprocess
import sys

import pytest

pytest.importorskip("mkdocs", reason="without mkdocs (chaku[docs]) the site is NOT tested")
from mkdocs.config import load_config
from mkdocs.exceptions import PluginError

import chaku
from chaku.evals.suite import BENCHMARKS
from chaku.recipe.schema import StageConfig
from chaku.training.config import TrainingConfig
from command_lines import commands
from docs.generate import benchmark_pages, errors, hook, markdown, python_api, recipe_keys, records
from docs.generate import commands as command_line
from documentation.blocks import ROOT


def test_every_key_of_a_recipe_stands_with_its_default():
    page = recipe_keys.page()
    for kind in (StageConfig, TrainingConfig):
        for field in dataclasses.fields(kind):
            assert f"| `{field.name}` |" in page
    assert "| `batch_tokens` | whole number | `4_000_000` | at least 1 | yes |" in page
    assert "| `num_workers` | whole number | `0` | at least 0 | no |" in page
    assert "## `[stages.NAME.training]`" in page
    assert "## `[sets.NAME]` with `preferences`" in page


def test_every_command_and_option_stands_there():
    page = command_line.page()
    for name, command in commands():
        if hasattr(command, "example"):
            section = page.split(f"## {name}\n")[1].split("\n## ")[0]
            assert command.example in section
            for option in command.params:
                if option.opts[0] not in ("-q", "-v") and option.opts[0].startswith("--"):
                    assert option.opts[0] in section


def test_every_public_name_stands_there_with_its_parameters():
    page = python_api.page()
    for name in chaku.__all__:
        assert name == "__version__" or f"## chaku.{name}\n" in page
    assert "decoder: Literal['torch', 'openvino'] | None=None" in page


def test_every_benchmark_has_a_page():
    pages = benchmark_pages.pages()
    text = "\n".join(pages.values())
    assert [name for name in BENCHMARKS if f"| `{name}` |" not in text] == []
    assert "save https://github.com/openai/human-eval" in pages["humaneval.md"]
    for name in pages:
        assert name == "index.md" or f"({name})" in pages["index.md"]


def test_every_error_with_a_text_stands_there():
    found = list(errors.messages(errors.SOURCE))
    texts = {message.text for message in found}
    assert len(found) > 400
    assert "<i>path</i> is not valid JSON (<i>error</i>); it may be truncated: remove it and run again" in texts
    assert {message.file.split("/")[0] for message in found if "/" in message.file} <= errors.ROOMS.keys()


def test_an_error_is_read_from_its_expression(tmp_path):
    (tmp_path / "a.py").write_text(
        'raise ChakuError(f"no {kind} in {self.path}; " "write " + (one if x else "two_words"))'
    )
    [message] = errors.messages(tmp_path)
    assert message.text == "no <i>kind</i> in <i>path</i>; write <i>one</i>⟨or: two\\_words⟩"


def test_every_record_has_its_keys():
    text = records.tables()
    for kind in records.FILES.values():
        assert [field.name for field in dataclasses.fields(kind) if f"| `{field.name}` |" not in text] == []


def test_a_file_of_the_root_becomes_a_page():
    text = "[a](docs/x.md#y) [b](CONTRIBUTING.md) [c](LICENSE) [d](https://e.org)"
    assert markdown.as_document(text) == "[a](x.md#y) [b](contributing.md) c [d](https://e.org)"


def test_a_page_that_the_navigation_lacks_is_put_at_its_end(tmp_path):
    config = load_config(str(ROOT / "mkdocs.yml"), docs_dir=str(tmp_path), hooks=[])
    (tmp_path / "new.md").write_text("# New\n")
    (tmp_path / "start.md").write_text("# Start\n")
    assert hook.on_config(config).nav[-1] == {"More": ["new.md"]}


@pytest.mark.parametrize("text", ['<script src="https://a.org/x.js">', "<style>a{b:url(//a.org/c)}</style>"])
def test_a_page_that_loads_from_elsewhere_is_refused(text, tmp_path):
    config = load_config(str(ROOT / "mkdocs.yml"), site_dir=str(tmp_path), hooks=[])
    (tmp_path / "index.html").write_text('<a href="https://a.org">a link is none of it</a>')
    hook.on_post_build(config)
    (tmp_path / "bad.html").write_text(text)
    with pytest.raises(PluginError, match="from another machine"):
        hook.on_post_build(config)


@pytest.mark.slow
def test_the_site_builds_without_a_warning(tmp_path):
    command = (sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path))
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert re.search("<h1.*errors", (tmp_path / "reference" / "errors.html").read_text(), re.IGNORECASE)
