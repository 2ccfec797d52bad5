"""Whether the TensorBoard that a user starts can show the tab: what is installed where."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import tb_gradclip
from tb_gradclip.commands.finding import Finding

OLDEST_TENSORBOARD = (2, 17, 1)
WITHOUT_PKG_RESOURCES = "the module pkg_resources, which setuptools has no more since version 82"
PATIENCE = 120.0
"""Seconds that an interpreter may take to import TensorBoard and its plugins."""

# Run by the interpreter of the `tensorboard` command. Whatever fails there is an answer too.
PROBE = """
import json, sys
from importlib import metadata

def version(name):
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None

def outcome(action):
    try:
        action()
    except BaseException as error:
        return f"{type(error).__name__}: {error}"

def loader():
    from tensorboard.data import server_ingester
    server_ingester.get_server_binary()

points = metadata.entry_points()
group = "tensorboard_plugins"
plugins = points.select(group=group) if hasattr(points, "select") else points.get(group, ())
print("\\n" + json.dumps({
    "prefix": sys.prefix,
    "tensorboard": version("tensorboard"),
    "tb_gradclip": version("tb-gradclip"),
    "setuptools": version("setuptools"),
    "start": outcome(lambda: __import__("tensorboard.default")),
    "plugins": [[point.name, point.value, outcome(point.load)] for point in plugins],
    "loader": outcome(loader),
}))
"""


def findings() -> Iterator[Finding]:
    """What is to say of the command `tensorboard`, or without one of `python -m tensorboard.main`."""
    command = shutil.which("tensorboard")
    python = Path(sys.executable) if command is None else interpreter(Path(command))
    if python is None:
        yield Finding("note", f"{command} is no Python script, so what it starts could not be looked at.")
        return
    try:
        told = probe(python)
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        broken = f"The command {command} belongs to {python}, which could not be asked: {error}."
        yield Finding(
            "problem", broken, f"Start TensorBoard with: {sys.executable} -m tensorboard.main --logdir LOGDIR"
        )
        return
    if command is None:
        starting = f"{python} -m tensorboard.main --logdir LOGDIR"
        yield Finding("note", "There is no command `tensorboard` on the path.", f"Start it with: {starting}")
    yield from _read(told, python)


def interpreter(command: Path) -> Path | None:
    """The Python that a script with a first line `#!/path/to/python` is run with; None for another kind of file."""
    with command.open("rb") as file:
        start = file.read(4096)
    shell = b"'''exec' "
    if shell in start:  # what pip writes where the path is too long for the first line
        return Path(os.fsdecode(start.split(shell, 1)[1].split(b' "$0"')[0].strip(b"\"' ")))
    first = start.split(b"\n", 1)[0].decode(errors="replace")
    if not first.startswith("#!") or "python" not in first:
        return None
    words = first.removeprefix("#!").split()
    if Path(words[0]).name == "env":
        found = shutil.which(words[-1])
        return None if found is None else Path(found)
    return Path(first.removeprefix("#!").strip())


def probe(python: Path) -> dict[str, Any]:
    """What an interpreter says of its TensorBoard.

    Raises:
      OSError, subprocess.SubprocessError, ValueError: it could not be run, or said something else.
    """
    done = subprocess.run(  # noqa: S603  # the interpreter of a command that the user would run
        [python, "-c", PROBE], capture_output=True, text=True, check=True, timeout=PATIENCE, stdin=subprocess.DEVNULL
    )
    told = json.loads(done.stdout.rstrip().rsplit("\n", 1)[-1])
    if not isinstance(told, dict):
        raise ValueError(f"it answered {told!r}")  # noqa: TRY004  # it is the answer that is wrong
    return told


def _read(told: Mapping[str, Any], python: Path) -> Iterator[Finding]:
    """What an answer of the probe means."""
    installing = f"{python} -m pip install"
    if told["tensorboard"] is None:
        yield Finding("problem", f"TensorBoard is not installed for {python}.", f"{installing} tensorboard")
        return
    if told["tb_gradclip"] is None:
        elsewhere = f"TensorBoard belongs to {python}, where tb_gradclip is not installed: this is {sys.executable}."
        here = f"{sys.executable} -m tensorboard.main --logdir LOGDIR"
        yield Finding("problem", elsewhere, f"{installing} tb-gradclip, or start the TensorBoard from here: {here}")
    else:
        yield Finding("ok", f"TensorBoard {told['tensorboard']} and tb_gradclip {told['tb_gradclip']} for {python}.")
    if told["tb_gradclip"] not in (None, tb_gradclip.__version__):
        other = (
            f"This is tb_gradclip {tb_gradclip.__version__}; TensorBoard's, {told['tb_gradclip']}, may not read it all."
        )
        yield Finding("note", other, f"{installing} --upgrade tb-gradclip")
    if _numbers(told["tensorboard"]) < OLDEST_TENSORBOARD:
        oldest = ".".join(map(str, OLDEST_TENSORBOARD))
        yield Finding("problem", f"The tab needs TensorBoard {oldest} or newer.", f"{installing} --upgrade tensorboard")
    yield from _start(told, installing)
    if told["loader"] is not None:
        yield Finding(
            "note",
            "TensorBoard's fast loader is missing: large logs take minutes to appear, with another loader in Python.",
            f"{installing} tensorboard-data-server, if it is to be had for this machine",
        )


def _start(told: Mapping[str, Any], installing: str) -> Iterator[Finding]:
    """Whether TensorBoard starts: one plugin that cannot be imported keeps it from that."""
    failures = [("TensorBoard", told["start"])] if told["start"] is not None else []
    failures += [(f"the plugin {name} ({value})", error) for name, value, error in told["plugins"] if error is not None]
    for what, error in failures:
        if "pkg_resources" in error:
            text = f"TensorBoard cannot start: {what} needs {WITHOUT_PKG_RESOURCES}; here it is {told['setuptools']}."
            yield Finding("problem", text, f'{installing} "setuptools<82", or --upgrade what needs it')
        else:
            text = f"TensorBoard cannot start: {what} fails with {error[:300]}."
            yield Finding("problem", text, f"{installing} --upgrade that package, or uninstall it")
    names = [name for name, _, _ in told["plugins"]]
    if told["tb_gradclip"] is not None and "gradclip" not in names:
        text = "tb_gradclip is there, but is not registered as a plugin of TensorBoard."
        yield Finding("problem", text, f"{installing} --force-reinstall tb-gradclip")


def _numbers(version: str) -> tuple[int, ...]:
    """The numbers that a version begins with: 2, 21, 0 of 2.21.0a1."""
    return tuple(int(digits or 0) for digits in re.findall(r"(?:^|\.)(\d*)", version)[:3])
