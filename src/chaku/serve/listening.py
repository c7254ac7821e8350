"""Addresses: which of them only this machine reaches, and a socket that listens on one."""

import ipaddress
import socket

from chaku.errors import ChakuError

STALLED_SECONDS = 60  # after which a connection ends whose client takes nothing of what is sent to it


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def url_of(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def listen(host: str, port: int, api_key: str | None = None, stalled: float = STALLED_SECONDS) -> socket.socket:
    """A listening socket. Raises ChakuError for a taken port, and for an address open to others without a key.

    On Linux, its connections end when their client has taken nothing for `stalled` seconds of what is sent to it.
    """
    if api_key is None and not is_loopback(host):
        raise ChakuError(
            f"--host {host} lets other machines ask; give --api-key (or $CHAKU_API_KEY), or leave --host out"
        )
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listening = socket.socket(family, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if hasattr(socket, "TCP_USER_TIMEOUT"):  # accepted connections inherit it
            listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(stalled * 1000))
        listening.bind((host, port))
        listening.listen(512)
    except OSError as error:
        raise ChakuError(
            f"cannot listen on {host} port {port}: {error.strerror or error}; give another --port"
        ) from None
    return listening
