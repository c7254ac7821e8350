"""`chaku models` lists the catalogue; `chaku get` brings a model of it to this machine."""

import argparse
import json
from pathlib import Path
from typing import Any


def add_commands(verbs: "argparse._SubParsersAction[Any]", common: argparse.ArgumentParser) -> None:
    """The verbs `models` and `get`."""
    listing = verbs.add_parser("models", parents=[common], help="open models that `chaku get` brings, by name")
    listing.add_argument("--json", action="store_true")
    listing.set_defaults(command=_models)
    getting = verbs.add_parser("get", parents=[common], help="bring a model of the catalogue; prints its path")
    getting.add_argument("name", help="a name that `chaku models` lists")
    getting.add_argument("--dir", type=Path, help="where to put it (default: the cache, CHAKU_CACHE)")
    getting.set_defaults(command=_get)


def _models(options: argparse.Namespace) -> None:
    from chaku.checkpoint import download
    from chaku.checkpoint.catalogue import CATALOGUE, HubRepository

    rows: list[dict[str, Any]] = []
    for model in CATALOGUE:
        path = download.downloaded(model)
        rows.append(
            {
                "name": model.name,
                "family": model.family,
                "parameters": model.num_parameters,
                "licence": model.licence,
                "bytes": model.num_bytes,
                "abilities": list(model.abilities),
                "source": model.source.repository if isinstance(model.source, HubRepository) else "package index",
                "path": str(path) if path else None,
            }
        )
    print(json.dumps(rows) if options.json else "\n".join(_in_lines(rows)))


def _in_lines(rows: list[dict[str, Any]]) -> list[str]:
    from chaku.checkpoint.download import cache_directory
    from chaku.console import short

    table = [["NAME", "FAMILY", "PARAMETERS", "LICENCE", "SIZE", "CAN", "FROM", "HERE"]]
    for row in rows:
        size, can = f"{row['bytes'] / 1e9:.2f} GB", ", ".join(row["abilities"])
        source = "package index" if row["source"] == "package index" else "Hub"
        here = "yes" if row["path"] else "no"
        table.append(
            [
                row["name"],
                row["family"],
                short(row["parameters"]).replace("G", "B"),
                row["licence"],
                size,
                can,
                source,
                here,
            ]
        )
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = ["  ".join(map(str.ljust, cells, widths)).rstrip() for cells in table]
    return [*lines, "", f"`chaku get NAME` brings one into {cache_directory()}; a name works wherever a model does."]


def _get(options: argparse.Namespace) -> None:
    from chaku.checkpoint.download import get
    from chaku.checkpoint.find import catalogue_model

    print(get(catalogue_model(options.name), options.dir))
