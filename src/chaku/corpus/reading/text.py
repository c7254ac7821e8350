"""Decode a file's bytes to text, with \\n as line break, or say why they are not text."""

import codecs
import re
from collections.abc import Iterator

from chaku.files import LFS_POINTER

BINARY, LFS, UNKNOWN = "binary", "Git LFS pointer", "of unknown encoding"
_MARKS = (  # byte order marks; UTF-32 before UTF-16, whose mark begins UTF-32's
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_DECLARED = re.compile(rb"coding[:=][ \t]*[\"']?([-\w.]+)")  # PEP 263, Emacs and Vim; XML's and HTML's too
_ENCODINGS = ["gb18030", "big5", "cp932", "euc_jp", "euc_kr", "cp1251", "koi8_r"]  # letters are runs of bytes > 127
# The least share of bytes above 127 that stand alone in a Western text. There, accented letters stand between ASCII
# letters; in other languages, whole words are bytes above 127.
ALONE = 0.6


def decode_text(raw: bytes) -> tuple[str, str | None]:
    """(text, None), or ("", reason) for an empty or binary file, a Git LFS pointer, or an unknown encoding.

    In this order: a byte order mark names the encoding; valid UTF-8 is UTF-8; the first two lines may declare an
    encoding; or one encoding fits the bytes better than all others.
    """
    if not raw:
        return "", "empty"
    if raw.startswith(LFS_POINTER):
        return "", LFS
    for mark, encoding in _MARKS:
        if raw.startswith(mark):
            text = _decode(raw[len(mark) :], encoding)
            return ("", BINARY) if text is None else clean_text(text)
    if b"\0" in raw:
        return "", BINARY
    for look in (lambda _: "utf-8", _declared, _alike):
        known = look(raw)
        if known and (text := _decode(raw, known)) is not None:
            return clean_text(text)
    return "", UNKNOWN


def clean_text(text: str) -> tuple[str, str | None]:
    """(text, None), with \\n as line break and no byte order mark; ("", reason) for NUL characters, an LFS pointer."""
    if "\0" in text:
        return "", BINARY
    if text.startswith(LFS_POINTER.decode()):
        return "", LFS
    return text.removeprefix("\ufeff").replace("\r\n", "\n"), None


def matches(pattern: re.Pattern[str], literal: str, text: str) -> Iterator[re.Match[str]]:
    """As `pattern.finditer(text)`, for a pattern whose matches begin with `literal`: several times as fast."""
    at = text.find(literal)
    while at >= 0:
        if match := pattern.match(text, at):
            yield match
            at = text.find(literal, match.end())
        else:
            at = text.find(literal, at + 1)


def _decode(raw: bytes, encoding: str) -> str | None:
    try:
        return raw.decode(encoding)
    except (UnicodeDecodeError, LookupError, ValueError):
        return None


def _declared(raw: bytes) -> str | None:
    """The text encoding that one of the first two lines declares, or None."""
    found = _DECLARED.search(b"\n".join(raw.split(b"\n", 2)[:2]))
    name = found[1].decode("ascii", "replace") if found else ""
    try:
        is_text = codecs.lookup(name)._is_text_encoding
    except LookupError:
        return None
    return name if is_text else None


def _alike(raw: bytes) -> str | None:
    """The one encoding that fits the bytes above 127 best; None when several fit equally well."""
    runs = [len(run) for run in re.findall(rb"[\x80-\xff]+", raw)]
    if sum(length == 1 for length in runs) >= ALONE * sum(runs):
        return "cp1252"
    from charset_normalizer import from_bytes

    lines = b"\n".join(line for line in raw.split(b"\n") if not line.isascii())
    found = [(match.chaos, -match.coherence, match.encoding) for match in from_bytes(lines, cp_isolation=_ENCODINGS)]
    found.sort()
    return found[0][2] if found and (len(found) == 1 or found[0][:2] < found[1][:2]) else None
