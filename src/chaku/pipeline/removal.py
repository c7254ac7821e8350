"""Takes documents out of a corpus's next build, and says which tokens, stages and models have seen them."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from chaku.console import short
from chaku.corpus.lineage.opt_out import add_entries, is_held_out, named_by
from chaku.corpus.lineage.read import open_lineage
from chaku.files import RECORD, read_json
from chaku.pipeline.exposure import Exposure, exposures

SHOWN = 5  # copies that are named in words


@dataclass(frozen=True)
class Removal:
    """What entries mean in a corpus, and in the run that it belongs to, if any.

    `heldout`: documents that the models were measured on only. `tokens`: of the training documents, None without
    encoded tokens. `trained_tokenizer`: the run's tokenizer was trained on the corpus. `opt_out`: the list that the
    entries stand in now, None when nothing was written; `added`: the entries that it lacked.
    """

    corpus: Path
    entries: tuple[str, ...]
    documents: int
    bytes: int
    heldout: int
    copies: tuple[str, ...]
    tokens: int | None
    trained_tokenizer: bool
    stages: tuple[Exposure, ...]
    opt_out: Path | None
    added: tuple[str, ...]


def remove(directory: Path, names: Collection[str], *, opt_out: Path | None = None, copies: bool = False) -> Removal:
    """Find what `names` mean in a corpus or a run, and add them to an opt-out list. No other file is changed.

    `opt_out`: the list; the default is the list of the run's recipe; with neither, nothing is written. `copies`: add
    the copies too that were dropped for the documents. Raises ChakuError for a name that means no document.
    """
    lineage = open_lineage(directory)
    named = named_by(lineage, names)
    entries = (*named.entries, *named.copies) if copies else named.entries
    is_run = (directory / "recipe.json").exists()
    tokens: int | None = None
    stages: list[Exposure] = []
    if is_run and (directory / "tokens" / "train.parquet").exists():
        documents, tokens = _encoded(directory, [row for row in named.kept if not is_held_out(row)])
        stages = exposures(directory, documents)
    if opt_out is None and is_run and (listed := read_json(directory / "recipe.json")["corpus"].get("opt_out")):
        opt_out = Path(listed)
    return Removal(
        corpus=lineage.directory,
        entries=entries,
        documents=len(named.kept),
        bytes=sum(row["bytes"] for row in named.kept),
        heldout=sum(map(is_held_out, named.kept)),
        copies=named.copies,
        tokens=tokens,
        trained_tokenizer=is_run and bool(_record(directory / "tokenizer").get("corpus")),
        stages=tuple(stages),
        added=tuple(add_entries(opt_out, entries)) if opt_out else (),
        opt_out=opt_out,
    )


def in_lines(removal: Removal, directory: Path) -> list[str]:
    """A removal in words, with what to do next."""
    held = f", {removal.heldout:,} of them held out" if removal.heldout else ""
    about = f"{removal.documents:,} documents, {short(removal.bytes)}B{held}"
    lines = [f"{removal.corpus} holds of {_listed(removal.entries)}: {about}"]
    if removal.copies:
        also = (
            "are taken out too"
            if set(removal.copies) <= set(removal.entries)
            else ("would be kept in their place; --copies takes them out too")
        )
        lines.append(f"{len(removal.copies):,} dropped copies of them {also}: {_listed(removal.copies)}")
    if removal.tokens is not None:
        lines.append(f"tokens: {removal.tokens:,} in {directory}/tokens/train.bin")
    if removal.trained_tokenizer and removal.documents:
        lines.append("tokenizer: trained on a sample of this corpus")
    for stage in removal.stages:
        lines.append(f"stage {stage.stage}: {_seen(stage)}")
    if removal.opt_out:
        lines.append(
            f"{removal.opt_out}: {f'added {_listed(removal.added)}' if removal.added else 'had all entries before'}"
        )
    else:
        lines.append("nothing was written; --opt-out FILE adds the entries to a list")
    return [*lines, *_next(removal, directory)]


def _encoded(run: Path, kept: list[dict[str, Any]]) -> tuple[np.ndarray, int]:
    """(the indices of documents in the training tokens, int64; the number of their tokens)."""
    table = pq.read_table(run / "tokens" / "train.parquet", columns=["sha256", "num_tokens"])
    # A text is in a corpus once, so that its hash names the document.
    chosen = pc.is_in(table["sha256"], pa.array([row["sha256"] for row in kept], pa.string()))
    return np.flatnonzero(chosen.to_numpy()), int(pc.sum(table.filter(chosen)["num_tokens"]).as_py() or 0)


def _record(step: Path) -> dict[str, Any]:
    return read_json(step / RECORD) if (step / RECORD).exists() else {}


def _seen(stage: Exposure) -> str:
    if not stage.has_seen:
        return "has seen nothing of them"
    parts = []
    if stage.sets:
        about = "" if stage.exact else "about "
        parts.append(
            f"trained on {about}{stage.tokens:,} of their tokens ({stage.documents:,} documents, sets "
            f"{', '.join(stage.sets)})"
        )
    if stage.inherited:
        parts.append(f"descends from stages that have seen them: {', '.join(stage.inherited)}")
    model = f"; model {stage.directory}" if stage.finished else "; not finished"
    return "; ".join(parts) + model


def _next(removal: Removal, directory: Path) -> list[str]:
    if not removal.opt_out:
        return []
    if removal.corpus == directory:
        return [f"next: chaku corpus build SOURCES --opt-out {removal.opt_out} --out NEW"]
    seen = [stage for stage in removal.stages if stage.has_seen]
    models = f"; until then {len(seen)} models that have seen them stay in {directory}/stages" if seen else ""
    return [f"next: chaku run RECIPE --set corpus.opt_out={removal.opt_out} --out NEW{models}"]


def _listed(names: Collection[str]) -> str:
    shown = list(names)[:SHOWN]
    return ", ".join(shown) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
