"""Finds a Chromium to look at the dashboard with: the tests and the README's picture need one.

`python -m demo.browser` prints where it is. With `--install` it gets one if there is none: from the system's packages
for root, else the one Playwright downloads.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import Browser, Playwright, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
OPTIONS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

HELP = """No Chromium was found and none could be installed. Do one of these and try again:
  sudo apt-get install chromium
  sudo {python} -m playwright install --with-deps chromium"""


def launch(playwright: Playwright) -> Browser:
    """Start the first Chromium that works.

    Raises:
      RuntimeError: there is none; says what to do.
    """
    executable = find(playwright)
    if executable is None:
        raise RuntimeError(HELP.format(python=sys.executable))
    return playwright.chromium.launch(executable_path=executable, args=OPTIONS)


def find(playwright: Playwright) -> str | None:
    """Path of the first Chromium that starts: one of the system's, else Playwright's own."""
    for name in (*NAMES, playwright.chromium.executable_path):
        path = shutil.which(name)
        if path is not None and _works([path, "--version"]):
            return path
    return None


def install() -> None:
    """Get a Chromium in the first way that works here; what went wrong on the way is shown."""
    with sync_playwright() as playwright:
        if find(playwright):
            return
        for commands in _ways():
            if all(_works(command, quiet=False) for command in commands) and find(playwright):
                return
    sys.exit(HELP.format(python=sys.executable))


def _ways() -> Iterator[list[list[str]]]:
    own = [sys.executable, "-m", "playwright", "install"]
    if os.geteuid() == 0 and shutil.which("apt-get"):
        # On Ubuntu this package is a pointer to a snap, which does not run everywhere.
        if "ubuntu" not in Path("/etc/os-release").read_text(encoding="utf-8").lower():
            yield [["apt-get", "update", "-qq"], ["apt-get", "install", "-qq", "--yes", "chromium"]]
        yield [[*own, "--with-deps", "chromium"]]
    yield [[*own, "chromium"]]


def _works(command: list[str], *, quiet: bool = True) -> bool:
    output = subprocess.DEVNULL if quiet else None
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    try:
        done = subprocess.run(
            command, check=False, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment
        )
    except OSError:
        return False
    return done.returncode == 0


def main() -> None:
    """Print the path of the Chromium that will be used."""
    if "--install" in sys.argv[1:]:
        install()
    with sync_playwright() as playwright:
        print(find(playwright) or HELP.format(python=sys.executable))


if __name__ == "__main__":
    main()
