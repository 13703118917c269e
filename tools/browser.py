"""Find the Chromium that the tests drive; with --install, get it where it is missing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def find() -> str | None:
    """Return the path of a Chromium or Chrome: CHROMIUM first, then PATH."""
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)


def has_japanese_font() -> bool:
    """Whether Japanese text can be drawn."""
    fonts = subprocess.run(["fc-list", ":lang=ja"], capture_output=True, text=True).stdout
    return bool(fonts.strip())


def main() -> int:
    """Install what is missing with the system's package manager."""
    missing = ([] if find() else ["chromium"]) + (
        [] if shutil.which("fc-list") and has_japanese_font() else ["fonts-noto-cjk"]
    )
    if missing and "--install" in sys.argv and shutil.which("apt-get"):
        sudo = [] if os.geteuid() == 0 else ["sudo"]
        print(f"Installing {' and '.join(missing)} for the tests of the pages.", flush=True)
        apt = [*sudo, "apt-get", "-qq", "-o", "Dpkg::Use-Pty=0"]
        silent = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        for step in (["update"], ["install", "-y", *missing]):
            subprocess.run([*apt, *step], check=True, stdout=subprocess.DEVNULL, env=silent)
    if not find():
        print("The tests of the pages need Chromium: install it, or set CHROMIUM to its path.")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
