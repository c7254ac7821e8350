"""`chaku models`: the catalogue, with what each model can do and whether it is here."""

import json
from typing import Any

from chaku.cli.shared.options import json_option
from chaku.cli.shared.verb import verb


@verb("chaku models")
@json_option("Print a list with an entry a model as JSON.")
def models(as_json: bool) -> None:
    """List the open models that `chaku get` brings: size, licence, and whether each can infill or chat."""
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
    print(json.dumps(rows) if as_json else "\n".join(_in_lines(rows)))


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
