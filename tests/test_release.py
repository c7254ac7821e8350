"""What a release has: a wheel and a source archive without tests that work where they are unpacked, and one version."""

import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from datetime import date
from pathlib import Path

import pytest
import yaml

import chaku

ROOT = Path(__file__).parent.parent
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """(the wheel, the source archive), as `python -m build` makes them."""
    pytest.importorskip("hatchling", reason="NOT TESTED: the release is not built, as hatchling is not installed")
    from hatchling.builders.sdist import SdistBuilder
    from hatchling.builders.wheel import WheelBuilder

    copy = tmp_path_factory.mktemp("project")
    for name in ("pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "CITATION.cff"):
        shutil.copy(ROOT / name, copy)
    shutil.copytree(ROOT / "src", copy / "src", ignore=shutil.ignore_patterns("__pycache__"))
    (copy / "tests").mkdir()
    (copy / "tests" / "test_nothing.py").touch()
    built = [
        path
        for builder in (WheelBuilder, SdistBuilder)
        for path in builder(str(copy)).build(directory=str(copy / "dist"))
    ]
    wheel, archive = map(Path, built)
    return wheel, archive


def test_the_wheel_has_every_file_of_the_package_and_no_other(built):
    names = {name for name in zipfile.ZipFile(built[0]).namelist() if ".dist-info/" not in name}
    files = [path for path in (ROOT / "src" / "chaku").rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    assert names == {path.relative_to(ROOT / "src").as_posix() for path in files}
    assert {"chaku/py.typed", "chaku/evals/benchmarks/first_steps.jsonl", "chaku/report/style.css"} <= names


def test_the_source_archive_has_what_a_build_needs_and_no_tests(built):
    with tarfile.open(built[1]) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "src/chaku/py.typed", "PKG-INFO"} <= names
    assert not [name for name in names if name.startswith("tests")]


def test_the_wheel_runs_without_the_source(built, tmp_path):
    zipfile.ZipFile(built[0]).extractall(tmp_path)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment["PYTHONPATH"] = str(tmp_path)
    code = "import chaku, chaku.cli; print(chaku.__file__); chaku.cli.main(['--version'])"
    done = subprocess.run(
        (sys.executable, "-c", code), cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == [str(tmp_path / "chaku" / "__init__.py"), f"chaku {chaku.__version__}"]
    metadata = next(tmp_path.glob("*.dist-info/METADATA")).read_text(encoding="utf-8")
    assert f"\nVersion: {chaku.__version__}\n" in metadata
    assert "chaku = chaku.cli:main" in next(tmp_path.glob("*.dist-info/entry_points.txt")).read_text(encoding="utf-8")


def test_a_tag_on_the_commit_is_the_version():
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("tags are NOT compared: no git here")
    command = ("git", "tag", "--points-at", "HEAD", "v[0-9]*")
    tags = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    assert set(tags) <= {f"v{chaku.__version__}"}


def test_the_changelog_is_in_its_form():
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    versions = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert versions[0] == "[Unreleased]"
    for version in versions[1:]:
        number, day = re.fullmatch(r"\[(\d+\.\d+\.\d+)\] - (\d{4}-\d\d-\d\d)", version).groups()
        date.fromisoformat(day)
        assert number
    kinds = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    assert set(re.findall(r"^### (.*)$", text, re.MULTILINE)) <= kinds


def test_the_citation_is_in_its_form():
    """The required keys of the Citation File Format 1.2.0, and of its references."""
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert {"cff-version", "message", "title", "authors"} <= cited.keys()
    assert (cited["cff-version"], cited["version"], cited["license"]) == ("1.2.0", chaku.__version__, "Apache-2.0")
    [paper] = cited["references"]
    assert {"type", "title", "authors"} <= paper.keys()
    assert paper["identifiers"] == [{"type": "other", "value": "arXiv:2308.12950"}]
    assert [paper["authors"][0]["family-names"], paper["authors"][-1]["family-names"]] == ["Rozière", "Synnaeve"]
    for person in (*cited["authors"], *paper["authors"]):
        assert person.keys() == {"name"} or person.keys() == {"family-names", "given-names"}


@pytest.mark.parametrize("name", ["bug", "feature"])
def test_the_issue_templates_are_in_their_form(name):
    form = yaml.safe_load((ROOT / ".github" / "ISSUE_TEMPLATE" / f"{name}.yml").read_text(encoding="utf-8"))
    assert form.keys() >= {"name", "description", "body"}
    for part in form["body"]:
        assert part["type"] in ("markdown", "textarea", "input", "checkboxes")
        assert part["type"] == "markdown" or part["attributes"]["label"]
    ids = [part["id"] for part in form["body"] if "id" in part]
    assert len(ids) == len(set(ids))
    assert ("doctor" in ids) == (name == "bug")


def test_the_security_policy_names_options_that_exist_and_no_address():
    text = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    options = set(re.findall(r"--[a-z][a-z-]+", text))
    commands = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "src" / "chaku" / "cli").rglob("*.py"))
    assert len(options) >= 6
    assert [option for option in options - {"--version"} if f'"{option}"' not in commands] == []
    assert "private security advisory" in text
    assert not re.search(r"\w@\w|https?://", text)


def test_servers_listen_on_this_machine_alone():
    from chaku.cli.serve import serve
    from chaku.cli.sql_mcp import sql_mcp

    for command in (serve, sql_mcp):
        [host] = [option for option in command.params if option.name == "host"]
        assert host.default == "127.0.0.1"


def anchor(heading: str) -> str:
    """A heading's name in links, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


@pytest.mark.parametrize("document", DOCUMENTS, ids=[path.name for path in DOCUMENTS])
def test_links_lead_to_files_and_headings(document):
    text = re.sub(r"```.*?```", "", document.read_text(encoding="utf-8"), flags=re.DOTALL)
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        path, _, place = link.partition("#")
        if "://" in link:
            continue
        target = (document.parent / path) if path else document
        assert target.exists(), link
        if place:
            headings = re.findall(r"^#+ (.*)$", target.read_text(encoding="utf-8"), re.MULTILINE)
            assert place in {anchor(heading) for heading in headings}, link
