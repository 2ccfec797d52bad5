"""TensorBoard as a user starts it: a process of its own."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

LOADERS = ("true", "false")
"""Values of `--load_fast`: the data server in Rust, and the one in Python that Macs and Windows have."""

START = (sys.executable, "-m", "tensorboard.main")


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def tensorboard(
    logdir: Path, *options: str, start: Sequence[str | Path] = START, environment: Mapping[str, str] | None = None
) -> Iterator[str]:
    """Start TensorBoard on a directory; gives its address once it answers, with a trailing slash.

    Args:
      logdir: the directory; with an option `--logdir_spec`, only where the log of the process goes: beside it.
      options: more of them.
      start: what starts it, before any option.
      environment: variables of the process besides those of this one.
    """
    with board(logdir, *options, start=start, environment=environment) as (address, _):
        yield address


@contextlib.contextmanager
def board(
    logdir: Path, *options: str, start: Sequence[str | Path] = START, environment: Mapping[str, str] | None = None
) -> Iterator[tuple[str, int]]:
    """The same, with the id of its process."""
    port = free_port()
    prefix = next((o.removeprefix("--path_prefix=") for o in options if o.startswith("--path_prefix=")), "")
    where = [] if any(o.startswith("--logdir_spec") for o in options) else ["--logdir", str(logdir)]
    command = [*start, *where, "--port", str(port), "--reload_interval", "1", *options]
    log = logdir.parent / f"tensorboard-{port}.log"
    with log.open("w") as output:
        variables = {**os.environ, **(environment or {})}
        process = subprocess.Popen(command, stdout=output, stderr=output, env=variables)
        try:
            address = f"http://localhost:{port}{prefix}/"
            _wait(process, address, log)
            yield address, process.pid
        finally:
            process.terminate()
            process.wait()


def _wait(process: subprocess.Popen[bytes], address: str, log: Path) -> None:
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        with contextlib.suppress(urllib.error.URLError, ConnectionError):
            urllib.request.urlopen(f"{address}data/plugins_listing")
            return
        time.sleep(0.2)
    raise RuntimeError(f"TensorBoard did not start:\n{log.read_text()}")


def fetch(address: str, route: str) -> bytes:
    """Body of a route of ours."""
    with urllib.request.urlopen(f"{address}data/plugin/gradclip/{route}") as response:
        return bytes(response.read())


def wait_for_steps(address: str, steps: int, runs: int = 3) -> None:
    """Wait until so many runs have this many steps: TensorBoard answers before it has read everything."""
    deadline = time.monotonic() + 60
    found: dict[str, int] = {}
    while time.monotonic() < deadline:
        found = {r["name"]: r["steps"] for r in json.loads(fetch(address, "runs"))["runs"]}
        if len(found) == runs and set(found.values()) == {steps}:
            return
        time.sleep(0.3)
    raise AssertionError(f"{runs} runs never had {steps} steps: {found}")
