# failed: nothing is reached
import socket

for family, kind, address in (
    (socket.AF_INET, socket.SOCK_STREAM, ("192.0.2.1", 80)),
    (socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 22)),
    (socket.AF_INET, socket.SOCK_DGRAM, ("192.0.2.1", 53)),
    (socket.AF_INET6, socket.SOCK_STREAM, ("2001:db8::1", 80)),
    (socket.AF_UNIX, socket.SOCK_STREAM, "/run/systemd/private"),
    (socket.AF_UNIX, socket.SOCK_STREAM, "/var/run/docker.sock"),
    (socket.AF_UNIX, socket.SOCK_STREAM, "\0/tmp/.X11-unix/X0"),
):
    try:
        with socket.socket(family, kind) as channel:
            channel.settimeout(1)
            channel.connect(address)
            channel.send(b"x")
    except OSError:
        continue
    raise SystemExit(0)
raise OSError("nothing is reached")
