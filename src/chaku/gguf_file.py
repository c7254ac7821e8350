"""Read the header of a GGUF file: its metadata, and the place of every tensor in the file.

The format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md (versions 2 and 3, little-endian). The gguf
package's own reader takes 26 seconds to read the vocabulary of Qwen2.5-Coder-0.5B.
"""

import mmap
import re
import struct
from dataclasses import dataclass
from functools import lru_cache
from math import prod
from pathlib import Path
from threading import Lock
from typing import Any

from chaku.errors import ChakuError

_MAGIC = b"GGUF"
_LFS_POINTER = b"version https://git-lfs"
_PART = re.compile(r"(.*)-(\d{5})-of-(\d{5})\.gguf")  # llama.cpp's names for the parts of a split model
_STRING, _ARRAY, _BOOL = 8, 9, 7
# The struct module's code for every GGUF type number.
_NUMBERS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "B", 10: "Q", 11: "q", 12: "d"}
_MAX_DIMENSIONS = 4
_MIN_PAIR_BYTES = 8 + 4 + 1  # an empty key, its value's type, a byte
_MIN_TENSOR_BYTES = 8 + 4 + 4 + 8  # an empty name, no dimensions, type and offset


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """Where a tensor lies in a file. `shape` is in PyTorch's order; `kind` is a `gguf.GGMLQuantizationType`."""

    name: str
    shape: tuple[int, ...]
    kind: Any
    path: Path
    offset: int  # bytes, from the beginning of the file
    num_bytes: int


@dataclass(frozen=True)
class GgufFile:
    """The header of a model in one file or several. `paths`: all parts; `path`: the first part.

    Arrays in `metadata` are lists.
    """

    path: Path
    paths: list[Path]
    metadata: dict[str, Any]
    tensors: list[StoredTensor]

    def get(self, key: str, kind: type | tuple[type, ...], default: Any = None) -> Any:
        """The value of a key, or `default`. Raises ChakuError for a value of another type."""
        value = self.metadata.get(key)
        if value is None:
            return default
        wrong = not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool)
        if wrong:
            raise ChakuError(
                f"{self.path}: {key} is {str(value)[:60]!r}, a value of the wrong type; get or convert the file again"
            )
        return value

    def need(self, key: str, kind: type | tuple[type, ...]) -> Any:
        """The value of a key. Raises ChakuError when it is missing or of another type."""
        if key not in self.metadata:
            raise ChakuError(
                f"{self.path} lacks {key}: the file is damaged or an old program converted it; get the file again"
            )
        return self.get(key, kind)


def is_gguf(path: Path) -> bool:
    """Whether a path names a GGUF file: its name ends in .gguf, or the file begins with GGUF's magic bytes."""
    if path.suffix == ".gguf":
        return not path.is_dir()
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(4) == _MAGIC


def gguf_files(path: Path) -> list[Path]:
    """All parts of a split model (`NAME-00001-of-00003.gguf`), given the path of any part; else the one file.

    Raises ChakuError when the file or a part is missing.
    """
    named = _PART.fullmatch(path.name)
    if not named:
        if not path.is_file():
            raise ChakuError(f"{path} does not exist")
        return [path]
    count = int(named[3])
    parts = [path.with_name(f"{named[1]}-{number:05}-of-{named[3]}.gguf") for number in range(1, count + 1)]
    if missing := [part.name for part in parts if not part.is_file()]:
        shown = ", ".join(missing[:3]) + (", ..." if len(missing) > 3 else "")
        raise ChakuError(f"{path.parent} lacks {shown} of the {count} parts of the model: put all parts there")
    return parts


def read_gguf_file(path: Path) -> GgufFile:
    """Read the metadata and the tensors' places, but no weights.

    Raises ChakuError, naming the file, when a file is not GGUF, is damaged or cut off, or is big-endian, and when a
    part is missing.
    """
    paths = gguf_files(path)
    stamps = [(file.st_mtime_ns, file.st_size, file.st_ino) for file in (part.stat() for part in paths)]
    with _READING:  # two threads load the weights and the tokenizer: the second waits and gets the cached header
        return _read_parts(path, tuple(paths), tuple(stamps))


_READING = Lock()


@lru_cache(maxsize=1)  # loading a model reads its header several times; a large vocabulary takes half a second
def _read_parts(path: Path, paths: tuple[Path, ...], stamps: tuple[tuple[int, int, int], ...]) -> GgufFile:
    parts = [_Header(part) for part in paths]
    metadata, count = parts[0].metadata, parts[0].metadata.get("split.count", 1)
    if count != len(paths) and count not in (0, 1):
        raise ChakuError(
            f"{paths[0]} is one of {count} parts of a model; give the parts their names back "
            f"(NAME-00001-of-{count:05}.gguf) and put them into one directory"
            if isinstance(count, int)
            else f"{paths[0]}: split.count is not a number; the file is damaged: get it again"
        )
    tensors = [tensor for part in parts for tensor in part.tensors]
    if len({tensor.name for tensor in tensors}) < len(tensors):
        raise ChakuError(f"{path} has a tensor twice; the file is damaged: get it again")
    return GgufFile(paths[0], list(paths), metadata, tensors)


class _Header:
    """The header of one file: everything before the weights."""

    def __init__(self, path: Path):
        self._path, self._at = path, 0
        size = path.stat().st_size
        if size == 0:
            raise ChakuError(f"{path} is empty; download it again")
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as self._data:
            self._read(size)

    def _read(self, size: int) -> None:
        self._check_beginning()
        num_tensors, num_pairs = self._number("Q"), self._number("Q")
        self._expect(num_pairs * _MIN_PAIR_BYTES + num_tensors * _MIN_TENSOR_BYTES)
        self.metadata: dict[str, Any] = {}
        for _ in range(num_pairs):
            key = self._string()
            if key in self.metadata:
                raise self._damaged(f"its header has the key {key} twice")
            self.metadata[key] = self._value(self._number("I"))
        alignment = self.metadata.get("general.alignment", 32)
        if not isinstance(alignment, int) or not 8 <= alignment <= 2**20 or alignment & (alignment - 1):
            raise self._damaged(f"general.alignment is {alignment!r}")
        found = [self._tensor() for _ in range(num_tensors)]
        start = -(-self._at // alignment) * alignment
        self.tensors: list[StoredTensor] = []
        for name, shape, kind, offset, num_bytes in found:
            if offset % alignment or start + offset + num_bytes > size:
                raise self._damaged(f"the tensor {name} lies beyond the end of the file")
            self.tensors.append(StoredTensor(name, shape, kind, self._path, start + offset, num_bytes))

    def _check_beginning(self) -> None:
        path, begin = self._path, bytes(self._data[:64])
        if begin.startswith(_LFS_POINTER):
            raise ChakuError(f"{path} is a Git LFS pointer and not the file itself; run `git lfs pull` there")
        if begin[:4] != _MAGIC:
            raise ChakuError(f"{path} is not a GGUF file (it begins with {begin[:4]!r}); convert or download it again")
        self._at = 4
        version = self._number("I")
        if version >= 2**16 and version % 2**16 == 0:
            raise ChakuError(f"{path} is big-endian GGUF; get the little-endian file")
        if version not in (2, 3):
            raise ChakuError(f"{path} is version {version} of GGUF; chaku reads versions 2 and 3: get a newer file")

    def _damaged(self, reason: str) -> ChakuError:
        return ChakuError(f"{self._path} is damaged or cut off ({reason}); download it again")

    def _ends(self) -> ChakuError:
        return self._damaged(f"it ends after {len(self._data):,} bytes, inside its header")

    def _expect(self, num_bytes: int) -> None:
        """Check that so many bytes follow, before memory is allocated for them."""
        if num_bytes > len(self._data) - self._at:
            raise self._ends()

    def _number(self, code: str) -> Any:
        return self._numbers(code, 1)[0]

    def _numbers(self, code: str, count: int) -> tuple[Any, ...]:
        num_bytes = count * struct.calcsize(f"<{code}")
        self._expect(num_bytes)
        self._at += num_bytes
        return struct.unpack_from(f"<{count}{code}", self._data, self._at - num_bytes)

    def _string(self) -> str:
        return self._strings(1)[0]

    def _strings(self, count: int) -> list[str]:
        self._expect(8 * count)
        data, at, read_length = self._data, self._at, struct.Struct("<Q").unpack_from
        strings = []
        try:
            for _ in range(count):
                start = at + 8
                at = start + read_length(data, at)[0]
                strings.append(data[start:at].decode())
        except UnicodeDecodeError as error:
            raise self._damaged(f"a text in its header is not UTF-8: {error.reason}") from None
        except (struct.error, OverflowError):
            raise self._ends() from None
        self._expect(at - self._at)
        self._at = at
        return strings

    def _value(self, kind: int) -> Any:
        if kind == _STRING:
            return self._string()
        if kind == _ARRAY:
            kind, count = self._number("I"), self._number("Q")
            if kind == _STRING:
                return self._strings(count)
            if kind in _NUMBERS:
                values = self._numbers(_NUMBERS[kind], count)
                return [value != 0 for value in values] if kind == _BOOL else list(values)
        elif kind in _NUMBERS:
            value = self._number(_NUMBERS[kind])
            return value != 0 if kind == _BOOL else value
        raise self._damaged(f"a value in its header has the unknown type {kind}")

    def _tensor(self) -> tuple[str, tuple[int, ...], Any, int, int]:
        """(name, shape, type, offset in bytes from the first tensor, number of bytes)."""
        from gguf import GGML_QUANT_SIZES, GGMLQuantizationType

        name, num_dimensions = self._string(), self._number("I")
        if not 1 <= num_dimensions <= _MAX_DIMENSIONS:
            raise self._damaged(f"the tensor {name} has {num_dimensions} dimensions")
        shape = tuple(reversed(self._numbers("Q", num_dimensions)))
        kind, offset = self._number("I"), self._number("Q")
        if kind not in {known.value for known in GGMLQuantizationType}:
            raise ChakuError(
                f"{self._path}: the tensor {name} is of type {kind}, which the gguf package does not know: "
                "pip install --upgrade gguf, or get the model in another quantisation"
            )
        block_size, block_bytes = GGML_QUANT_SIZES[GGMLQuantizationType(kind)]
        if not all(shape) or shape[-1] % block_size:
            raise self._damaged(f"the tensor {name} has the shape {list(shape)}")
        return name, shape, GGMLQuantizationType(kind), offset, prod(shape) // block_size * block_bytes
