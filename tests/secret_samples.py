"""Texts with secrets and personal data, made from a seed, each with what should be found: the set that is measured.

No secret is real: the bodies are random, with right checksums where a provider has them. A test that held a token
itself would alarm the tools that look for tokens, so that forms are put together here.
"""

import base64
import json
import random
import string
import zlib
from collections.abc import Iterator

BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase
HEX, LETTERS = "0123456789abcdef", string.ascii_letters
NAMES = "alma bruno carla dimitri elena farid greta hiro irina jonas katja lucas".split()  # noqa: SIM905


def checksum(body: str) -> str:
    number, digits = zlib.crc32(body.encode()), ""
    for _ in range(6):
        number, digit = divmod(number, 62)
        digits = BASE62[digit] + digits
    return digits


class Maker:
    """Makes secrets, personal data, and look-alikes that must be kept."""

    def __init__(self, seed: int):
        self.random = random.Random(seed)

    def of(self, characters: str, count: int) -> str:
        return "".join(self.random.choice(characters) for _ in range(count))

    def _jwt(self) -> str:
        parts = ({"alg": "HS256", "typ": "JWT"}, {"sub": self.of(HEX, 12), "iat": self.random.randrange(10**9)})
        encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts]
        return ".".join((*encoded, self.of(BASE62 + "-_", 43)))

    def _private_key(self) -> str:
        lines = "\n".join(self.of(BASE62 + "+/", 64) for _ in range(8))
        return f"-----BEGIN RSA PRIVATE KEY-----\n{lines}\n-----END RSA PRIVATE KEY-----"

    def secrets(self) -> Iterator[tuple[str, str]]:
        """(kind, secret): one of each kind."""
        body = self.of(BASE62, 30)
        yield "GitHub token", "gh" + self.random.choice("pous") + "_" + body + checksum(body)
        yield "GitHub token", "github_" + "pat_" + self.of(BASE62, 22) + "_" + self.of(BASE62, 59)
        body = self.of(BASE62, 30)
        yield "npm token", "npm_" + body + checksum(body)
        yield "AWS key id", "AK" + "IA" + self.of(string.ascii_uppercase + "234567", 16)
        yield "Slack token", "xo" + "xb-" + self.of("123456789", 12) + "-" + self.of(BASE62, 24)
        yield "Stripe key", "sk_" + "live_" + self.of(BASE62, 24)
        yield "Google key", "AI" + "za" + self.of(BASE62 + "-_", 34) + self.of(BASE62, 1)
        yield "OpenAI key", "sk-" + self.of(BASE62, 20) + "T3Blbk" + "FJ" + self.of(BASE62, 20)
        yield "Hugging Face token", "hf_" + self.of(LETTERS, 34)
        yield "GitLab token", "glp" + "at-" + self.of(BASE62, 20)
        yield "SendGrid key", "SG" + "." + self.of(BASE62, 22) + "." + self.of(BASE62, 43)
        yield "DigitalOcean token", "dop" + "_v1_" + self.of(HEX, 64)
        yield "JSON web token", self._jwt()
        yield "private key", self._private_key()
        yield "password in a URL", self.of(BASE62, 14)

    def personal(self) -> Iterator[tuple[str, str]]:
        name, other = self.random.sample(NAMES, 2)
        end = self.random.choice(["com", "org", "de", "co.uk", "io"])
        yield (
            "e-mail address",
            f"{name}.{other}{self.random.choice(['', '7'])}@{self.of(string.ascii_lowercase, 7)}.{end}",
        )
        yield (
            "IP address",
            f"{self.random.randrange(40, 99)}.{self.random.randrange(256)}.7.{self.random.randrange(256)}",
        )
        yield "IP address", f"2a00:1450:{self.of('123456789', 4)}:81b::{self.of('123456789', 3)}"
        yield "user name in a path", name

    def kept(self) -> Iterator[str]:
        """What looks like a secret or a person's, and is none."""
        yield "ghp_" + self.of(BASE62, 30) + "AAAAAA"  # a wrong checksum
        yield "ghp_" + "x" * 36
        yield "AKIA" + "IOSFODNN7" + "EXAMPLE"
        yield "sk_live_" + "your_key_here"
        yield "eyJ" + self.of(BASE62, 30) + ".eyJ" + self.of(BASE62, 30) + "." + self.of(BASE62, 20)
        yield self.of(HEX, 40)  # a commit
        yield "aes256-gcm@openssh.com"
        yield from ("someone@example.com", "git@github.com:a/b.git", "icon@2x.png", "pkg@1.2.3", "@decorator.call")
        yield from ("127.0.0.1", "10.1.2.3", "192.168.0.7", "8.8.8.8", "255.255.255.0", "1.2.3.4", "version 81.2.3.4")
        yield from (
            "std::vector<int>::size",
            "12:34:56",
            "/home/user/data/a",
            "/home/runner/work/a",
            "C:\\Users\\Public\\a",
        )
        yield from ("https://example.com/home/page/1", "-----BEGIN PRIVATE KEY-----\n...\n-----END PRIVATE KEY-----")
        yield "https://user:password@host/"


def in_code(kind: str, value: str, draw: random.Random) -> str:
    """A line of code or configuration around a value."""
    if kind == "user name in a path":
        return draw.choice([f'open("/home/{value}/data/a.csv")', f"C:\\Users\\{value}\\a", f"cd /Users/{value}/src"])
    if kind == "password in a URL":
        return f'URL = "postgres://app:{value}@db.internal:5432/shop"'
    forms = ("key = '{}'", 'export KEY="{}"', "KEY={}", "  token: {}", "# see {}", "call({!r}, 1)", "<{}>")
    return draw.choice(forms[:3] if kind == "private key" else forms).format(value)
