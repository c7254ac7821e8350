"""Finds secrets by the forms that their providers gave them, checked by their checksums where they have them.

A form begins with a literal text, so that a file without this text costs no more than a search for it. A secret has
no letter, digit or `_` beside it. A match that a person made up (`ghp_xxxxxxxx`, `...EXAMPLE`) is none.
"""

import base64
import binascii
import json
import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np

from chaku.corpus.compiled import kernels
from chaku.corpus.reading.text import matches

MIN_DISTINCT = 8  # characters of a random text of 20 or more; a made-up one has fewer
MIN_KEY_CHARACTERS = 64  # of base64 in a private key; the shortest, of Ed25519 in PKCS #8, has 64
_BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_MADE_UP = re.compile(
    r"(?i:example)|x{5}|X{5}|\.\.\.|0{6}|1234567|abcdefg|ABCDEFG|your|YOUR|dummy|redacted|(?i:placeholder)|(.)\1{5}"
)


@dataclass(frozen=True, slots=True)
class Found:
    """A part of a text to replace, from `start` to `end`. `kind`: a name such as "GitHub token"."""

    start: int
    end: int
    kind: str


@dataclass(frozen=True)
class Form:
    """`literals`: one of them begins every secret. `rest`: a pattern of what follows. `holds`: checks the whole."""

    kind: str
    literals: tuple[str, ...]
    rest: str
    holds: Callable[[str], bool] = lambda secret: True


def base62_crc32(secret: str) -> bool:
    """GitHub's and npm's checksum: the last 6 of 36 characters are the CRC-32 of the first 30, in base 62."""
    body = secret.rpartition("_")[2]
    number, digits = zlib.crc32(body[:-6].encode()), ""
    for _ in range(6):
        number, digit = divmod(number, 62)
        digits = _BASE62[digit] + digits
    return digits == body[-6:]


def grafana_crc32(secret: str) -> bool:
    """A Grafana service account's token ends in `_` and the CRC-32 of what is before, in hexadecimal."""
    body, _, checksum = secret.removeprefix("glsa_").rpartition("_")
    return f"{zlib.crc32(body.encode()):08x}" == checksum.lower()


def is_jwt(secret: str) -> bool:
    """Whether the first two parts of a JSON Web Token decode to objects of JSON, and the first names an algorithm."""
    parts = []
    for part in secret.split(".")[:2]:
        try:
            parts.append(json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))))
        except (binascii.Error, ValueError, RecursionError):
            return False
    return all(isinstance(part, dict) for part in parts) and "alg" in parts[0]


def is_macaroon(secret: str) -> bool:
    """Whether a PyPI token decodes to a macaroon of version 2, which begins with its place."""
    body = secret.removeprefix("pypi-")
    try:
        return base64.urlsafe_b64decode(body[:24])[:3] == b"\x02\x01\x08"
    except (binascii.Error, ValueError):
        return False


FORMS = (
    Form("GitHub token", ("ghp_", "gho_", "ghu_", "ghs_", "ghr_"), r"[A-Za-z0-9]{36}", base62_crc32),
    Form("GitHub token", ("github_pat_",), r"[A-Za-z0-9]{22}_[A-Za-z0-9]{59}"),
    Form("npm token", ("npm_",), r"[A-Za-z0-9]{36}", base62_crc32),
    Form("GitLab token", ("glpat-", "gldt-", "glrt-"), r"[\w-]{20}(?:[\w-]*\.[0-9a-z]{2}\.[0-9a-z]{9})?"),
    Form("AWS key id", ("AKIA", "ASIA", "ABIA", "ACCA"), r"[A-Z2-7]{16}"),
    Form("Slack token", ("xoxb-", "xoxp-", "xoxa-", "xoxr-", "xoxs-", "xoxo-"), r"[0-9]{9,14}-[0-9A-Za-z-]{20,120}"),
    Form("Slack token", ("xapp-",), r"[0-9]-[A-Z0-9]{9,14}-[0-9]{9,14}-[a-z0-9]{40,80}"),
    Form("Slack webhook", ("hooks.slack.com/services/",), r"T[A-Z0-9]{8,12}/B[A-Z0-9]{8,12}/[A-Za-z0-9]{24}"),
    Form("Stripe key", ("sk_live_", "rk_live_", "sk_test_", "rk_test_"), r"[A-Za-z0-9]{24,247}"),
    Form("Stripe key", ("whsec_",), r"[A-Za-z0-9+/]{32,64}=*"),
    Form("Google key", ("AIza",), r"[\w-]{35}"),
    Form("Google key", ("GOCSPX-",), r"[\w-]{28}"),
    Form("Google key", ("ya29.",), r"[\w-]{60,400}"),
    Form("OpenAI key", ("sk-",), r"(?:(?:proj|svcacct|admin)-)?[\w-]{20,100}T3BlbkFJ[\w-]{20,100}"),
    Form("Anthropic key", ("sk-ant-",), r"(?:api|admin|sid|oat)[0-9]{2}-[\w-]{80,120}AA"),
    Form("Hugging Face token", ("hf_", "api_org_"), r"[A-Za-z]{34}"),
    Form("JSON web token", ("eyJ",), r"[\w-]{10,2000}\.eyJ[\w-]{10,8000}\.[\w-]{16,2000}", is_jwt),
    Form("PyPI token", ("pypi-",), r"[\w-]{80,600}", is_macaroon),
    Form("RubyGems key", ("rubygems_",), r"[0-9a-f]{48}"),
    Form("Docker token", ("dckr_pat_", "dckr_oat_"), r"[\w-]{27,32}"),
    Form("SendGrid key", ("SG.",), r"[\w-]{22}\.[\w-]{43}"),
    Form("Mailgun key", ("key-",), r"[0-9a-f]{32}"),
    Form("Twilio key", ("SK",), r"[0-9a-f]{32}"),
    Form("DigitalOcean token", ("dop_v1_", "doo_v1_", "dor_v1_"), r"[0-9a-f]{64}"),
    Form("Shopify token", ("shpat_", "shpca_", "shppa_", "shpss_"), r"[0-9a-fA-F]{32}"),
    Form("Databricks token", ("dapi",), r"[0-9a-f]{32}(?:-[0-9])?"),
    Form("Grafana token", ("glsa_",), r"[A-Za-z0-9]{32}_[0-9a-fA-F]{8}", grafana_crc32),
    Form("Postman key", ("PMAK-",), r"[0-9a-f]{24}-[0-9a-f]{34}"),
    Form("Linear key", ("lin_api_",), r"[A-Za-z0-9]{40}"),
    Form("Vault token", ("hvs.", "hvb."), r"[\w-]{90,300}"),
    Form("Square token", ("sq0atp-", "sq0csp-"), r"(?:[\w-]{43}|[\w-]{22})"),
    Form("age key", ("AGE-SECRET-KEY-1",), r"[QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L]{58}"),
    Form("Azure key", ("AccountKey=",), r"[A-Za-z0-9+/]{86}=="),
)
BEGINNING = 4  # characters: a secret that begins with fewer known ones is searched for by itself
_LITERALS = (*(literal for form in FORMS for literal in form.literals), "aws_", "AWS_", "SecretAccessKey")
_BEGINNINGS = sorted({literal[:BEGINNING] for literal in _LITERALS if len(literal) >= BEGINNING})
_SHORT = sorted({literal for literal in _LITERALS if len(literal) < BEGINNING})  # of two or three characters
_WORDS = np.frombuffer("".join(_BEGINNINGS).encode(), "<u4")
_SPREAD = np.uint32(0x9E3779B1)
_LIKELY = np.zeros(2**16, bool)  # by the first 16 bits of a word times _SPREAD
_LIKELY[(_WORDS * _SPREAD) >> np.uint32(16)] = True
_ENDINGS = np.array([int.from_bytes(literal.encode(), "little") for literal in _SHORT], np.uint32)
_ENDS = np.zeros(2**16, bool)  # by the last two characters of a short literal
_ENDS[np.frombuffer("".join(literal[-2:] for literal in _SHORT).encode(), "<u2")] = True
_KEY = re.compile(
    r"-----BEGIN ((?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?)-----"
    r"([A-Za-z0-9+/=\s\\\"',;:.()-]{64,20000}?)-----END \1-----"
)
_KEY_BODY = re.compile(r"(?:\\[nrt]|[^A-Za-z0-9+/=])+")
_AWS_SECRET = re.compile(r"(?<![A-Za-z0-9/+=])[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+=])")
_TO_BASE64 = bytes(ord("a") if (chr(code).isalnum() and code < 128) or code in b"+/" else 32 for code in range(256))
_IN_URL = re.compile(r"://[^\s/:@\"'<>{}$%]{1,64}:([^\s/:@\"'<>{}$%*]{3,128})@[A-Za-z0-9]")
_MADE_UP_PASSWORDS = frozenset(
    ("pass", "password", "passwd", "pwd", "secret", "pw", "token", "xxx", "guest", "admin", "test", "user")
)


def find_secrets(text: str) -> Iterator[Found]:
    """The secrets of a text, in no particular order; none overlaps another one of its kind."""
    present = _beginnings(text)
    for beginning, literal, form, pattern in _patterns() if present else ():
        if beginning in present:
            for match in matches(pattern, literal, text):
                secret = match[0]
                if form.holds(secret) and _is_random(secret[len(literal) :]):
                    yield Found(match.start(), match.end(), form.kind)
    if "PRIVATE KEY" in text:
        for match in _KEY.finditer(text):
            if len(_KEY_BODY.sub("", match[2])) >= MIN_KEY_CHARACTERS:
                yield Found(match.start(2), match.end(2), "private key")
    if present & {"AKIA", "ASIA", "aws_", "AWS_", "SecretAccessKey"[:BEGINNING]} and _has_long_run(text):
        for match in _AWS_SECRET.finditer(text):
            if _is_mixed(match[0]) and _is_random(match[0]):
                yield Found(match.start(), match.end(), "AWS secret key")
    for match in matches(_IN_URL, "://", text):
        password = match[1].lower()
        if password not in _MADE_UP_PASSWORDS and not _MADE_UP.search(match[1]):
            yield Found(match.start(1), match.end(1), "password in a URL")


def _has_long_run(text: str) -> bool:
    """Whether 40 characters of base64 follow each other, as in an AWS secret key."""
    return b"a" * 40 in text.encode().translate(_TO_BASE64)


def _beginnings(text: str) -> set[str]:
    """The first BEGINNING characters of secrets that occur in a text, found in one pass over all of its positions.

    A shorter literal is left out where only letters, digits or `_` stand before it.
    """
    raw = text.encode()
    if compiled := kernels():
        there = compiled.find_beginnings(np.frombuffer(raw, np.uint8), _LIKELY, _SPREAD, _WORDS, _ENDS, _ENDINGS)
        names = (*_BEGINNINGS, *_SHORT)
        return {names[place] for place in np.flatnonzero(there).tolist()}
    found = {literal for literal in _SHORT if literal in text}
    for start in range(BEGINNING):
        if count := max(0, len(raw) - start) // BEGINNING:
            words = np.frombuffer(raw, "<u4", count, start)
            likely = words[_LIKELY[(words * _SPREAD) >> np.uint32(16)]]
            found.update(word for word in map(_word, set(likely.tolist())) if word in _BEGINNINGS)
    return found


def _word(number: int) -> str:
    return number.to_bytes(BEGINNING, "little").decode("ascii", "replace")


@cache
def _patterns() -> tuple[tuple[str, str, Form, re.Pattern[str]], ...]:
    return tuple(
        (
            literal[:BEGINNING],
            literal,
            form,
            re.compile(rf"(?<![A-Za-z0-9_]){re.escape(literal)}(?:{form.rest})(?![A-Za-z0-9_])"),
        )
        for form in FORMS
        for literal in form.literals
    )


def _is_random(secret: str) -> bool:
    return len(set(secret)) >= MIN_DISTINCT and _MADE_UP.search(secret) is None


def _is_mixed(secret: str) -> bool:
    """Whether a text has small and capital letters and digits, unlike a hash in hexadecimal or a path."""
    return (
        sum(map(str.isdigit, secret)) >= 2
        and any(map(str.islower, secret))
        and any(map(str.isupper, secret))
        and secret.count("/") < 5
    )
