"""Find a model by the name that a user typed: a path, a name of the catalogue, or a Hub id."""

import difflib
import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from chaku.checkpoint import download, hub
from chaku.checkpoint.catalogue import CATALOGUE, CatalogueModel, HubRepository, by_name
from chaku.console import say
from chaku.errors import ChakuError


def find_checkpoint(name: str | Path, catalogue: Sequence[CatalogueModel] = CATALOGUE) -> Path:
    """The directory or .gguf file of a checkpoint. `name`: an existing path, a name of the catalogue, or a Hub id.

    A model that is not on this machine is downloaded, with a message. Raises ChakuError for any other name, with the
    nearest names, and when a download fails.
    """
    path, text = Path(name), str(name)
    with suppress(OSError):  # of a text that is too long for a path
        if path.exists():
            return path
    if model := by_name(text, catalogue):
        if here := download.downloaded(model):
            return here
        say(f"{model.name} is not on this machine yet; downloading it into {download.cache_directory()}")
        return download.get(model)
    if not re.fullmatch(r"\w[\w.-]*/[\w.-]+", text, re.ASCII) or path.suffix in (".gguf", ".pth", ".safetensors"):
        raise ChakuError(f"there is no model {text}, neither as a path nor in the catalogue{_nearest(text, catalogue)}")
    try:
        return hub.snapshot(text)
    except ChakuError as error:
        raise ChakuError(f"there is no path {text} here. {error}{_nearest(text, catalogue)}") from error


def catalogue_model(name: str, catalogue: Sequence[CatalogueModel] = CATALOGUE) -> CatalogueModel:
    """The catalogue's model of this name. Raises ChakuError, with the nearest names, when there is none."""
    if model := by_name(name, catalogue):
        return model
    raise ChakuError(f"the catalogue has no model {name}{_nearest(name, catalogue)}")


def _nearest(text: str, catalogue: Sequence[CatalogueModel]) -> str:
    """A hint for a mistyped name: similar names of the catalogue, or similar entries of the path's directory."""
    names = [model.name for model in catalogue]
    ids = {
        model.source.repository.lower(): model.name for model in catalogue if isinstance(model.source, HubRepository)
    }
    found = difflib.get_close_matches(text.lower(), [*names, *ids], n=3, cutoff=0.6)
    near = dict.fromkeys(ids.get(name, name) for name in found)
    parent = Path(text).parent
    if not near and parent != Path() and parent.is_dir():
        entries = difflib.get_close_matches(Path(text).name, [entry.name for entry in parent.iterdir()], n=3)
        near = dict.fromkeys(str(parent / entry) for entry in entries)
    return f"; did you mean {' or '.join(near)}?" if near else "; `chaku models` lists the catalogue"
