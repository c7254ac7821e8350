"""A GGUF file that is damaged, cut off or none at all: one clear line, at once, whatever is wrong."""

import os
import random
import struct
from contextlib import suppress

import pytest

from chaku import ChakuError, gguf_file
from chaku.checkpoint.formats import load_model
from chaku.gguf_file import gguf_files, is_gguf, read_gguf_file
from chaku.tokens.load import load_tokenizer
from gguf_files import byte_level, export, tiny_config, tiny_model

COUNTS = 8  # where the numbers of tensors and of metadata stand, each in 8 bytes


@pytest.fixture(scope="module", params=["llama", "gpt2"])
def content(request, tmp_path_factory) -> bytes:
    path = tmp_path_factory.mktemp("gguf") / "model.gguf"
    if request.param == "llama":
        return export(tiny_model(tiny_config("llama-3.1")), path).read_bytes()
    return export(tiny_model(tiny_config("qwen2")), path, tokenizer=byte_level("qwen2")).read_bytes()


def test_a_whole_file(content, tmp_path):
    path = tmp_path / "model.gguf"
    path.write_bytes(content)
    file = read_gguf_file(path)
    assert file.metadata["general.name"] == "tiny"
    assert isinstance(file.metadata["tokenizer.ggml.tokens"][0], str)
    assert file.metadata["tokenizer.ggml.add_eos_token"] is False
    assert file.need("general.name", str) == "tiny"
    last = file.tensors[-1]
    assert len(content) - 32 < last.offset + last.num_bytes <= len(content)
    with pytest.raises(ChakuError, match=r"model.gguf lacks general.nothing"):
        file.need("general.nothing", str)
    with pytest.raises(ChakuError, match=r"general.name is 'tiny', a value of the wrong type"):
        file.get("general.name", int)


def test_a_file_is_parsed_once_until_it_changes(content, tmp_path):
    path = tmp_path / "model.gguf"
    path.write_bytes(content)
    first = read_gguf_file(path)
    assert read_gguf_file(path) is first
    changed = content.replace(b"tiny", b"huge", 1)
    path.write_bytes(changed)
    os.utime(path, ns=(1, 1))
    assert read_gguf_file(path).metadata["general.name"] == "huge"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty; download it again"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:12\n", "is a Git LFS pointer .* `git lfs pull`"),
        (b"<!DOCTYPE html><html>Not found</html>", "is not a GGUF file"),
        (b"PK\3\4" + b"\0" * 99, "is not a GGUF file"),
        (b"GG", "is not a GGUF file"),
        (b"GGUF", "ends after 4 bytes, inside its header"),
        (b"GGUF" + struct.pack(">IQQ", 3, 0, 0), "is big-endian GGUF; get the little-endian file"),
        (b"GGUF" + struct.pack("<IQQ", 1, 0, 0), "is version 1 of GGUF; chaku reads versions 2 and 3"),
        (b"GGUF" + struct.pack("<IQQ", 4, 0, 0), "is version 4 of GGUF"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 0), "lacks general.architecture"),
        (b"GGUF" + struct.pack("<IQQ", 3, 2**63, 1), "inside its header"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 2**64 - 1), "inside its header"),
        # A key whose name, and an array whose length, is longer than any file.
        (b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 2**63) + b"\0" * 99, "inside its header"),
        (b"GGUF" + struct.pack("<IQQQcIIQ", 3, 0, 1, 1, b"a", 9, 8, 2**61) + b"\0" * 99, "inside its header"),
        (b"GGUF" + struct.pack("<IQQQcIIQ", 3, 0, 1, 1, b"a", 9, 9, 2) + b"\0" * 99, "has the unknown type 9"),
        (b"GGUF" + struct.pack("<IQQQcI", 3, 0, 1, 1, b"a", 13) + b"\0" * 99, "has the unknown type 13"),
        (b"GGUF" + struct.pack("<IQQQc", 3, 0, 1, 1, b"\xff") + b"\0" * 99, "is not UTF-8"),
    ],
)
def test_what_is_no_gguf_file(content, message, tmp_path):
    path = tmp_path / "model.gguf"
    path.write_bytes(content)
    for load in (load_model, load_tokenizer):
        with pytest.raises(ChakuError, match=f"model.gguf .*{message}".replace("lacks general.architecture", "lacks")):
            load(path)


def test_a_file_that_is_cut_off_anywhere(content, tmp_path):
    """In every region of the header, and in the weights."""
    path = tmp_path / "model.gguf"
    draw = random.Random(0)
    for size in [*range(0, 200, 3), *(draw.randrange(len(content)) for _ in range(200)), len(content) - 1]:
        path.write_bytes(content[:size])
        with pytest.raises(ChakuError, match=r"model.gguf is (damaged or cut off|empty|not a GGUF file)"):
            read_gguf_file(path)


def test_a_file_that_is_damaged_anywhere(content, tmp_path):
    """Bytes that are others: the model and the tokenizer load, or one line says what is wrong."""
    path = tmp_path / "model.gguf"
    path.write_bytes(content)
    header = min(tensor.offset for tensor in read_gguf_file(path).tensors)
    draw = random.Random(0)
    refused = 0
    for _ in range(150):
        damaged = bytearray(content)
        for _ in range(draw.randint(1, 3)):
            damaged[draw.randrange(header)] = draw.choice((0, 1, 0x7F, 0x80, 0xFF, draw.randrange(256)))
        path.write_bytes(damaged)
        gguf_file._read_parts.cache_clear()  # the file's time may be the same
        for load in (load_model, load_tokenizer):
            with suppress(ChakuError):
                load(path)
                continue
            refused += 1
    assert 30 < refused < 290


def test_numbers_that_are_absurd(content, tmp_path):
    path = tmp_path / "model.gguf"
    for at in (COUNTS, COUNTS + 8):
        for number in (2**16, 2**32, 2**63, 2**64 - 1):
            path.write_bytes(content[:at] + struct.pack("<Q", number) + content[at + 8 :])
            with pytest.raises(ChakuError, match="damaged"):
                read_gguf_file(path)


def test_which_paths_are_gguf(tmp_path):
    path = tmp_path / "blob"
    path.write_bytes(b"GGUF")
    assert is_gguf(path)  # by its first bytes: caches name their files by hashes
    assert is_gguf(tmp_path / "missing.gguf")
    path.write_bytes(b"PK")
    assert not is_gguf(path)
    assert not is_gguf(tmp_path)
    (tmp_path / "directory.gguf").mkdir()
    assert not is_gguf(tmp_path / "directory.gguf")
    with pytest.raises(ChakuError, match=r"missing.gguf does not exist"):
        gguf_files(tmp_path / "missing.gguf")
