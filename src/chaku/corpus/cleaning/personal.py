"""Finds personal data: e-mail addresses, IP addresses of the public network, and names of users in paths."""

import ipaddress
import re
from collections.abc import Iterable, Iterator

import numpy as np

from chaku.corpus.cleaning.secrets import Found
from chaku.corpus.compiled import kernels
from chaku.corpus.reading.text import matches


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Public DNS servers (StarCoder keeps them too): Google, Cloudflare, Quad9, OpenDNS, Level 3, Yandex, 114DNS, AliDNS.
PUBLIC_DNS = _words("""
    8.8.8.8 8.8.4.4 1.1.1.1 1.0.0.1 9.9.9.9 149.112.112.112 208.67.222.222 208.67.220.220 4.2.2.1 4.2.2.2 77.88.8.8
    77.88.8.1 114.114.114.114 223.5.5.5 2001:4860:4860::8888 2001:4860:4860::8844 2606:4700:4700::1111
    2606:4700:4700::1001 2620:fe::fe
""")
# The end of an address's domain; other ends with two letters are countries, without those that end names of files.
_ENDS = _words("""
    com org net edu gov mil int info biz name pro dev app xyz online site tech cloud email asia cat jobs mobi museum tel
    travel blog shop live art club agency academy systems software
""")
_FILES = _words("py sh md so ps rb js ts cs rs pl pm cc mm hh ml ph vb sc")
_KEPT_LOCAL = _words("""
    git noreply no-reply donotreply you your yourname user username name email me foo bar john jane
""")
_KEPT_USERS = _words("""
    user users username name you me your yourname foo bar root admin administrator ubuntu runner runneradmin travis
    vagrant docker jovyan pi ec2-user vscode node circleci gitpod codespace appuser app public shared default guest test
    linuxbrew someone somebody user1 user2 xxx myuser home builder build conda vsts anonymous
""")
_AT = re.compile(r"@((?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+([A-Za-z]{2,24}))(?![\w-]|\.[A-Za-z0-9])")
_IN_LOCAL = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._%+-")
_KEPT_DOMAIN = re.compile(
    r"(^|\.)(example|test|invalid|localhost|domain|yourdomain|mydomain|openssh|libssh|users\.noreply\.github)(\.|$)",
    re.I,
)
# Cheap searches, which begin with a literal character, for texts that cannot hold an address.
_DOTS = re.compile(r"\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]")
_DIGITS = np.array(
    [(chr(code) in "0123456789") + 2 * (chr(code) in "0123456789abcdefABCDEF") for code in range(256)], np.uint8
)
_LOCAL_BYTES = np.array([chr(code) in _IN_LOCAL for code in range(256)])
_COLONS = re.compile(r":[0-9A-Fa-f]{0,4}:[0-9A-Fa-f]")
_IPV4 = re.compile(r"(?<![\w.-])[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}(?![\w-]|\.[0-9])")
_IPV6 = re.compile(r"(?<![\w:.])(?:[0-9A-Fa-f]{1,4}:){2,7}(?::?[0-9A-Fa-f]{1,4})(?::[0-9A-Fa-f]{1,4}){0,5}(?![\w:.])")
_MAX_OF_VERSION = 31  # a version such as 4.0.0.1 has small numbers only
_VERSION = re.compile(r"(?i:version|release|\bver|\bv|\boid)[\w\"'.]*[\s:=(\"'v]*$")
_PATHS = (
    ("/home/", re.compile(r"(?<![\w.\-})])/home/([A-Za-z_][\w.-]{1,31})(?=/)")),
    ("/Users/", re.compile(r"(?<![\w.\-})])/Users/([A-Za-z_][\w.-]{1,31})(?=/)")),
    ("\\Users\\", re.compile(r"\b[A-Za-z]:\\{1,2}Users\\{1,2}([A-Za-z_][\w.-]{1,31})(?=[\\\"'\s]|$)")),
)

PERSONAL = frozenset({"e-mail address", "IP address", "user name in a path"})  # the kinds that are found


def find_personal(text: str) -> Iterator[Found]:
    """The personal data of a text, in no particular order."""
    may_have_email, may_have_ipv4, ipv6, may_have_path = _marks(text)
    for match in matches(_AT, "@", text) if may_have_email else ():
        start, first = match.start(), max(0, match.start() - 64)
        while start > first and text[start - 1] in _IN_LOCAL:
            start -= 1
        name = text[start : match.start()].lstrip(".-+")
        if name and is_email(name, match[1], match[2]):
            yield Found(match.start() - len(name), match.end(), "e-mail address")
    if may_have_ipv4:
        for match in _IPV4.finditer(text):
            if _is_personal(match[0]) and not (
                _is_version(match[0]) or _VERSION.search(text, max(0, match.start() - 20), match.start())
            ):
                yield Found(match.start(), match.end(), "IP address")
    for match in ipv6:
        if _is_personal(match[0]):
            yield Found(match.start(), match.end(), "IP address")
    for literal, pattern in _PATHS if may_have_path else ():
        if literal in text:
            for match in pattern.finditer(text):
                if match[1].lower().strip(".") not in _KEPT_USERS:
                    yield Found(match.start(1), match.end(1), "user name in a path")


def _marks(text: str) -> tuple[bool, bool, Iterable[re.Match[str]], bool]:
    """Whether a text may hold an e-mail address, an IPv4 address; its IPv6 addresses; whether it may hold a path."""
    if compiled := kernels():
        email, ipv4, starts, path = compiled.find_personal_marks(
            np.frombuffer(text.encode(), np.uint8), _DIGITS, _LOCAL_BYTES
        )
        ipv6 = _matches_at(starts.tolist(), text) if text.isascii() or not len(starts) else _IPV6.finditer(text)
        return email, ipv4, ipv6, path
    return "@" in text, _DOTS.search(text) is not None, _IPV6.finditer(text) if _COLONS.search(text) else (), True


def _matches_at(starts: list[int], text: str) -> Iterator[re.Match[str]]:
    """The IPv6 addresses of an ASCII text, which begin at some of the places `starts`."""
    end = 0
    for start in starts:
        if start >= end and (match := _IPV6.match(text, start)):
            end = match.end()
            yield match


def is_email(name: str, domain: str, end: str) -> bool:
    """Whether `name@domain` is a person's address: not an example, a place in a repository, or the name of a file."""
    end = end.lower()
    if not (end in _ENDS or (len(end) == 2 and end not in _FILES)):
        return False
    if name.lower() in _KEPT_LOCAL or _KEPT_DOMAIN.search(domain) or ".." in name:
        return False
    return name[0].isalnum() and (name[-1].isalnum() or name[-1] in "_-+")


def _is_version(address: str) -> bool:
    return all(int(part) <= _MAX_OF_VERSION for part in address.split("."))


def _is_personal(address: str) -> bool:
    """Whether an address is of the public network, and no public DNS server."""
    try:
        known = ipaddress.ip_address(address)
    except ValueError:
        return False
    return known.is_global and not known.is_multicast and str(known) not in PUBLIC_DNS
