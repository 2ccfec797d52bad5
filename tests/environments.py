"""Python environments that have a part of what this one has, made of links to its packages: nothing is downloaded.

An environment has what some requirements ask for and what that asks for in turn, and nothing else: a package that is
used and not declared is missing there.
"""

from __future__ import annotations

import sysconfig
import venv
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement


def environment(path: Path, requirements: list[str]) -> Path:
    """Make an environment at `path`; returns its Python."""
    venv.create(path, symlinks=True)
    (site,) = path.glob("lib/python*/site-packages")
    for distribution in _closure(requirements).values():
        for name in {file.parts[0] for file in distribution.files or ()} - {"..", "__pycache__"}:
            entry = Path(str(distribution.locate_file(name)))
            if entry.exists() and not (site / name).exists():  # parts of a namespace come with several packages
                (site / name).symlink_to(entry)
    return path / "bin" / "python"


def _closure(requirements: list[str]) -> dict[str, metadata.Distribution]:
    """Every distribution that has to be installed for these requirements, by name."""
    found: dict[str, metadata.Distribution] = {}
    done: set[tuple[str, str]] = set()
    waiting = [(requirement.name, extra) for text in requirements for requirement, extra in _wanted(text)]
    while waiting:
        name, extra = waiting.pop()
        if (name, extra) not in done:
            done.add((name, extra))
            found[name] = distribution = _installed(name)
            for text in distribution.requires or ():
                marker = Requirement(text).marker
                if marker is None or marker.evaluate({"extra": extra}):
                    waiting += [(requirement.name, further) for requirement, further in _wanted(text)]
    return found


def _installed(name: str) -> metadata.Distribution:
    """What is installed, and not what a build left in this directory."""
    return next(iter(metadata.distributions(name=name, path=[sysconfig.get_path("purelib")])))


def _wanted(text: str) -> Iterator[tuple[Requirement, str]]:
    """A requirement without extras, and with each of those it asks for."""
    requirement = Requirement(text)
    for extra in ("", *requirement.extras):
        yield requirement, extra
