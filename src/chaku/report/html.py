"""Builds HTML and SVG that is always escaped: only the results of `element` are markup, everything else is text."""

import re
from collections.abc import Iterable

# HTML forbids control characters, lone surrogates and non-characters. It allows bidirectional controls, but these can
# make code look different from what runs (CVE-2021-42574). All of them are replaced by visible characters.
_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")


class Html(str):
    """Markup that is not escaped."""

    __slots__ = ()


def element(name: str, /, *children: object, **attributes: object) -> Html:
    """One element. Escapes children that are not Html, leaves out None, and joins lists.

    `class_` becomes `class`, `stroke_width` becomes `stroke-width`; attributes that are None are left out.
    """
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in ("meta", "br", "hr"):
        return Html(f"<{name}{written}/>")
    return Html(f"<{name}{written}>{join(children)}</{name}>")


def join(parts: Iterable[object]) -> Html:
    """Concatenate Html and text, escaping the text."""
    pieces: list[str] = []
    for part in parts:
        if isinstance(part, Html):
            pieces.append(part)
        elif isinstance(part, list | tuple):
            pieces.append(join(part))
        elif part is not None:
            pieces.append(escape(part))
    return Html("".join(pieces))


def escape(value: object) -> Html:
    """A value as text, safe in content and in a double-quoted attribute. Unsafe characters are made visible."""
    text = str(value).replace("\r\n", "\n")
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")
    return Html(_UNSAFE.sub(_visible, text))


def _visible(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code < 0x20:
        return chr(0x2400 + code)  # the control pictures: ␀ ␛ ␍ ...
    if 0x200E <= code <= 0x2069:
        return f"⟨U+{code:04X}⟩"
    return "␡" if code == 0x7F else "\ufffd"
