"""Write a corpus's data card: croissant.json, metadata in Croissant's format, which data catalogues read.

The format: https://docs.mlcommons.org/croissant/docs/croissant-spec-1.0.html, and its vocabulary for responsible AI,
https://docs.mlcommons.org/croissant/docs/croissant-rai-spec.html.
"""

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from chaku.corpus.shards import corpus_files
from chaku.files import write_json

CARD = "croissant.json"  # in the directory of a corpus
UNKNOWN = "unknown"  # a document whose licence is not known
NUM_LICENCES = 100  # that the card names, those of the most documents first

# The JSON-LD context that the specification gives, with the RAI vocabulary.
_CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileProperty": "cr:fileProperty",
    "fileObject": "cr:fileObject",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
_MEANINGS = {
    "text": "The document, in UTF-8.",
    "path": "Its path within its source; a part of a file has # and its number after the path.",
    "language": "The programming language, or the form of the prose.",
    "kind": "code, code_prose (natural language about code), prose, or piece (a part of a code file).",
    "license": "An SPDX expression; null where the licence is not known.",
    "source": "The name of the source that it came from.",
    "sha256": "The SHA-256 of the text.",
    "bytes": "The size of the text in UTF-8.",
    "repository": "The repository that it came from.",
    "stars": "The repository's stars.",
    "date": "The date of the revision.",
}


def write_card(directory: Path, summary: dict[str, Any], lineage: dict[str, Any]) -> None:
    """Write DIRECTORY/croissant.json. `summary`: of `fill_corpus`. `lineage`: as `write_lineage` returns it."""
    write_json(directory / CARD, data_card(directory, summary, lineage))


def data_card(directory: Path, summary: dict[str, Any], lineage: dict[str, Any]) -> dict[str, Any]:
    """The metadata of a corpus. It names no path of this machine."""
    licences = licence_counts(directory)
    named = [name for name, _ in licences.most_common(NUM_LICENCES) if name != UNKNOWN]
    documents = sum(row["documents"] for row in summary["kept"])
    size = sum(row["bytes"] for row in summary["kept"])
    dropped = sum(row["documents"] for row in summary["dropped"])
    schema = pq.read_schema(corpus_files(directory)[0])
    return {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "name": directory.name.strip(".").removesuffix(".partial") or "corpus",
        "description": f"{documents:,} documents ({size / 1e6:,.1f} MB of text) that chaku {lineage['chaku']} gathered "
        f"from {len(lineage['sources'])} sources; {dropped:,} others were dropped.",
        "conformsTo": [
            "http://mlcommons.org/croissant/1.0",
            "http://mlcommons.org/croissant/RAI/1.0",
        ],
        "version": "1.0.0",
        "identifier": f"sha256:{summary['documents_sha256']}",
        "datePublished": datetime.now(UTC).date().isoformat(),
        "license": [f"https://spdx.org/licenses/{name}" if " " not in name else name for name in named] or [UNKNOWN],
        "keywords": sorted({row["language"] for row in summary["kept"]}),
        "isBasedOn": [_source(source) for source in lineage["sources"]],
        "rai:dataCollection": "Files and rows of the sources in isBasedOn.",
        "rai:dataPreprocessingProtocol": [_in_words(check, summary) for check in lineage["checks"]],
        "rai:personalSensitiveInformation": [
            f"{row['what']}: replaced in {row['documents']:,} documents" for row in summary["replaced"]
        ]
        or ["nothing was replaced"],
        "rai:dataLimitations": "Licences: "
        + ", ".join(f"{name} {count:,}" for name, count in licences.most_common(NUM_LICENCES))
        + " documents. A licence is named where a file has an SPDX tag or a license file lies above it.",
        "distribution": [
            {
                "@type": "cr:FileSet",
                "@id": f"{split}-files",
                "name": f"{split}-files",
                "description": f"The documents of the {split} split.",
                "encodingFormat": "application/x-parquet",
                "includes": f"{split}-*.parquet",
            }
            for split in ("train", "heldout")
        ],
        "recordSet": [_record_set(split, schema) for split in ("train", "heldout")],
    }


def licence_counts(directory: Path) -> Counter[str]:
    """The number of documents with each licence, in both splits."""
    counts: Counter[str] = Counter()
    for path in corpus_files(directory):
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(columns=["license"]):
                for row in pc.value_counts(batch.column(0)).to_pylist():
                    counts[row["values"] or UNKNOWN] += row["counts"]
    return counts


def _source(source: dict[str, Any]) -> dict[str, Any]:
    about: dict[str, Any] = {"@type": "sc:Dataset", "name": source["name"]}
    if source["license"]:
        about["license"] = source["license"]
    if source["type"] == "hub":
        about["url"] = f"https://huggingface.co/datasets/{source['path']}"
    if commits := source["revisions"]:
        about["version"] = ", ".join(
            f"{one['within']}: {one['commit']}" if one["within"] else one["commit"] for one in commits
        )
        about["url"] = [one["origin"] for one in commits if one["origin"]]
    return {key: value for key, value in about.items() if value}


def _in_words(check: dict[str, Any], summary: dict[str, Any]) -> str:
    counts: Counter[str] = Counter()
    for row in summary["dropped"]:
        counts[row["reason"]] += row["documents"]
    reasons = [f"{reason} {counts[reason]:,}" for reason in check["reasons"] if counts[reason]]
    return f"{check['check']}: dropped {', '.join(reasons) or 'nothing'}" if check["reasons"] else check["check"]


def _record_set(split: str, schema: pa.Schema) -> dict[str, Any]:
    return {
        "@type": "cr:RecordSet",
        "@id": split,
        "name": split,
        "description": f"The documents of the {split} split.",
        "key": {"@id": f"{split}/sha256"},
        "field": [
            {
                "@type": "cr:Field",
                "@id": f"{split}/{field.name}",
                "name": field.name,
                "description": _MEANINGS.get(field.name, field.name),
                "dataType": "sc:Integer" if pa.types.is_integer(field.type) else "sc:Text",
                "source": {"fileSet": {"@id": f"{split}-files"}, "extract": {"column": field.name}},
            }
            for field in schema
        ],
    }
