"""Reads LiveCodeBench's tests: public tests are JSON; private tests are JSON in a pickled text, compressed, as Base64.

Unpickling can run any code, so nothing is unpickled here: only the pickle's instructions are listed. A pickle of
anything but one text is refused.
"""

import base64
import binascii
import json
import pickletools
import zlib
from typing import Any

from chaku.errors import ChakuError

MAX_BYTES = 1 << 30  # limit of a problem's private tests, decompressed
# The instructions that `pickle.dumps` writes for one text, in protocols 0 to 5.
_TEXT = {"UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"}
_AROUND = {"PROTO", "FRAME", "PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE", "STOP"}


def read_tests(where: str, public: Any, private: Any, metadata: Any) -> dict[str, Any]:
    """All tests of a problem in APPS's form: `inputs`, `outputs`, and for methods `fn_name`.

    Raises ChakuError, with `where`, for damaged tests, unknown kinds of tests, and a problem without tests.
    """
    rows = [*_from_json(where, public), *_from_json(where, unpack(where, private))]
    name = _from_json(where, metadata or "{}").get("func_name")
    if not rows:
        raise ChakuError(f"{where} has no tests; remove the problem")
    inputs, outputs = [], []
    for row in rows:
        if not isinstance(row, dict) or not {"input", "output", "testtype"} <= row.keys():
            raise ChakuError(f"{where}: a test has no input, output or testtype; get the file again")
        if row["testtype"] not in ("stdin", "functional") or (row["testtype"] == "functional") != bool(name):
            raise ChakuError(
                f"{where}: the testtype {row['testtype']!r} does not fit func_name {name!r}; get the file again"
            )
        given, expected = row["input"], row["output"]
        inputs.append([_from_json(where, line) for line in given.split("\n")] if name else given)
        outputs.append(_from_json(where, expected) if name else expected)
    return {"inputs": inputs, "outputs": outputs, **({"fn_name": name, "is_exact": True} if name else {})}


def unpack(where: str, private: Any) -> Any:
    """Private tests as a JSON text, unpacked if they are packed."""
    if not isinstance(private, str) or private.lstrip().startswith("["):
        return private
    try:
        decompressor = zlib.decompressobj()
        data = decompressor.decompress(base64.b64decode(private, validate=True), MAX_BYTES)
    except (binascii.Error, zlib.error, ValueError) as error:
        raise ChakuError(f"{where}: its private tests cannot be decompressed ({error}); get the file again") from error
    if not decompressor.eof:
        raise ChakuError(f"{where}: its private tests are over {MAX_BYTES >> 20} MB or cut off; get the file again")
    return _pickled_text(where, data)


def _pickled_text(where: str, data: bytes) -> str:
    texts = []
    try:
        for instruction, argument, _ in pickletools.genops(data):
            if instruction.name in _TEXT:
                texts.append(argument)
            elif instruction.name not in _AROUND:
                raise ChakuError(
                    f"{where}: its private tests are REFUSED: a pickle of more than one text could run "
                    f"any code ({instruction.name}); get the file from the Hub again"
                )
    except ValueError as error:
        raise ChakuError(f"{where}: its private tests are not a pickle ({error}); get the file again") from error
    if len(texts) != 1:
        raise ChakuError(f"{where}: its private tests are {len(texts)} texts, not one; get the file again")
    return str(texts[0])


def _from_json(where: str, value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError as error:
        raise ChakuError(f"{where}: {error} in its tests or metadata; get the file again") from error
