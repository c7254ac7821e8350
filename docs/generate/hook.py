"""What MkDocs calls: adds the generated pages, puts those that the navigation lacks at its end, checks the result."""

import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "src")]

from mkdocs.config.defaults import MkDocsConfig  # noqa: E402
from mkdocs.exceptions import PluginError  # noqa: E402
from mkdocs.structure.files import File, Files  # noqa: E402

from docs.generate import benchmark_pages, commands, errors, python_api, recipe_keys, records  # noqa: E402
from docs.generate.markdown import as_document  # noqa: E402

# What a browser would load from another machine: a picture, a style, a script, a font.
_REMOTE = re.compile(
    r"""<(?:link|script|img|iframe)\b[^>]*?(?:src|href)=["']?(?:https?:)?//|url\(["']?(?:https?:)?//"""
)
_CANONICAL = re.compile(r'<link rel="?canonical"?[^>]*>')
ROOT_PAGES = {
    "index.md": "README.md",
    "contributing.md": "CONTRIBUTING.md",
    "security.md": "SECURITY.md",
    "changelog.md": "CHANGELOG.md",
}


def generated() -> dict[str, str]:
    """Every page that no file of docs/ holds: its Markdown, by its path."""
    pages = {path: as_document((ROOT / name).read_text(encoding="utf-8")) for path, name in ROOT_PAGES.items()}
    chinese = as_document((ROOT / "README.zh-CN.md").read_text(encoding="utf-8"))
    chinese = chinese.replace("](zh-CN/", "](").replace("](index.md", "](../index.md")
    pages["zh-CN/index.md"] = re.sub(
        r"\]\((images/|[\w-]+\.md(?<!asking\.md)(?<!start\.md)(?<!tutorial\.md))", r"](../\1", chinese
    )
    pages |= {
        "reference/recipe-keys.md": recipe_keys.page(),
        "reference/command-line.md": commands.page(),
        "reference/python.md": python_api.page(),
        "reference/errors.md": errors.page(),
    }
    pages |= {f"reference/benchmarks/{name}": text for name, text in benchmark_pages.pages().items()}
    return pages


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put the pages that the navigation does not name under "More", so that a new page needs no line here."""
    assert config.nav is not None
    named = set(paths_in(config.nav))
    docs = Path(config.docs_dir)
    found = sorted(path.relative_to(docs).as_posix() for path in docs.rglob("*.md"))
    if left := [path for path in found if path not in named]:
        config.nav.append({"More": left})
    for part in config.nav:
        if "Reference" in part:
            pages = sorted(benchmark_pages.pages(), key=lambda name: name != "index.md")
            part["Reference"].append({"Benchmarks": [f"reference/benchmarks/{name}" for name in pages]})
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages."""
    for path, text in generated().items():
        files.append(File.generated(config, path, content=text))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """The tables of JSON files stand in a page that is written by hand; links to files outside docs/ become names."""
    markdown = markdown.replace("<!-- the tables of records -->", records.tables())
    depth = page.file.src_uri.count("/")
    up = "../" * (depth + 1)
    pages = {"README.md": "index.md", "README.zh-CN.md": "zh-CN/index.md", "CONTRIBUTING.md": "contributing.md"}
    pages |= {"SECURITY.md": "security.md", "CHANGELOG.md": "changelog.md"}

    def changed(match: re.Match[str]) -> str:
        inside = pages.get(match[2])
        return f"[{match[1]}]({'../' * depth}{inside}{match[3] or ''})" if inside else match[1]

    return re.sub(rf"\[([^]]*)\]\({re.escape(up)}(?!\.\./)([^)#\s]+)(#[^)\s]*)?\)", changed, markdown)


def on_post_build(config: MkDocsConfig) -> None:
    """Raise for a page that would load anything from another machine."""
    for path in Path(config.site_dir).rglob("*.html"):
        text = _CANONICAL.sub("", path.read_text(encoding="utf-8"))
        if found := _REMOTE.search(text):
            raise PluginError(f"{path} loads something from another machine: {found[0]}")


def paths_in(nav: Any) -> list[str]:
    """Every path that a navigation names."""
    if isinstance(nav, str):
        return [nav]
    return [path for part in (nav.values() if isinstance(nav, dict) else nav) for path in paths_in(part)]
