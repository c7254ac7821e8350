"""Replaces secrets and personal data in a text: the same value always by the same words, within a file."""

import re
from collections import Counter

from chaku.corpus.cleaning.personal import PERSONAL, find_personal
from chaku.corpus.cleaning.secrets import Found, find_secrets

# Replacements keep the form that code around them expects: names in paths stay names, addresses stay addresses, from
# the ranges that are reserved for documentation (RFC 2606, 5737 and 3849), so that none belongs to anybody.
_FORMS = {
    "e-mail address": "user{}@example.com",
    "user name in a path": "user{}",
    "password in a URL": "PASSWORD_{}",
    "private key": "\nPRIVATE_KEY_{}\n",
}


def redact(text: str) -> tuple[str, Counter[str]]:
    """The text without secrets and personal data, and the number of places replaced, by kind."""
    found = sorted(
        (*find_secrets(text), *find_personal(text)),
        key=lambda part: (part.start, part.kind in PERSONAL, -part.end),
    )
    if not found:
        return text, Counter()
    names: dict[tuple[str, str], str] = {}
    numbers: Counter[str] = Counter()
    counts: Counter[str] = Counter()
    parts: list[str] = []
    at = 0
    for part in found:
        if part.start < at:  # inside a secret that begins before it
            continue
        value = text[part.start : part.end]
        key = (_group(part, value), value)
        if key not in names:
            numbers[key[0]] += 1
            names[key] = _replacement(part, value, numbers[key[0]])
        parts += (text[at : part.start], names[key])
        at = part.end
        counts[part.kind] += 1
    return "".join((*parts, text[at:])), counts


def _group(part: Found, value: str) -> str:
    """The group in which the values of a file are numbered."""
    if part.kind == "IP address":
        return "IPv6" if ":" in value else "IPv4"
    return part.kind


def _replacement(part: Found, value: str, number: int) -> str:
    if part.kind == "IP address":
        return f"2001:db8::{number:x}" if ":" in value else f"192.0.2.{(number - 1) % 254 + 1}"
    form = _FORMS.get(part.kind) or re.sub(r"\W", "_", part.kind).upper() + "_{}"
    return form.format(number)
