"""Every TensorBoard that runs on this machine: whether it shows the tab, and all that was recorded."""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tb_gradclip.commands.finding import Finding

PATIENCE = 20.0
"""Seconds in which a TensorBoard has to answer."""


def findings(logdir: Path | None) -> Iterator[Finding]:
    """What there is to say of each that runs on these logs, or on any."""
    from tensorboard import manager

    running = [info for info in manager.get_all() if _is_alive(info.pid)]
    concerned = [info for info in running if logdir is None or _same(info.logdir, logdir)]
    for info in sorted(concerned, key=lambda info: int(info.port)):
        yield from _look(info)
    if logdir is not None and not concerned:
        yield Finding("note", f"No TensorBoard runs on {str(logdir)!r}.", f"tensorboard --logdir {logdir}")


def _is_alive(process: int) -> bool:
    """Whether there is such a process: one that was killed leaves word that it runs."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # somebody else's
        pass
    return True


def _same(theirs: str, logdir: Path) -> bool:
    """Whether a TensorBoard was given this directory, or one around it."""
    if not theirs:
        return False
    wanted = logdir.resolve()
    return Path(theirs).resolve() in (wanted, *wanted.parents)


def _look(info: Any) -> Iterator[Finding]:
    address = f"http://localhost:{info.port}{info.path_prefix.rstrip('/')}/"
    who = f"TensorBoard {info.version} at {address} on {info.logdir}"
    try:
        listing = _fetch(f"{address}data/plugins_listing")
    except (OSError, ValueError) as error:
        yield Finding("note", f"{who} does not answer: {error}.", "Start it again.")
        return
    if "gradclip" not in listing:
        text = f"{who} does not know the plugin: it was installed later, or in another environment."
        yield Finding("problem", text, "Stop that TensorBoard and start it again.")
        return
    try:
        runs = _fetch(f"{address}data/plugin/gradclip/runs")["runs"]
    except (OSError, ValueError, KeyError) as error:
        yield Finding("problem", f"{who} cannot list the runs: {error}.", "Its log says why; start it again.")
        return
    yield from _runs(who, runs)


def _runs(who: str, runs: list[Mapping[str, Any]]) -> Iterator[Finding]:
    recorded = [run for run in runs if run["recorded"]]
    if not recorded:
        text = f"{who} has read no run of ours yet."
        remedy = "Wait for its next reload, see --reload_interval; or it was given another directory than the writer."
        yield Finding("note", text, remedy)
        return
    sampled = [run["name"] for run in recorded if not run["complete"]]
    if sampled:
        names = ", ".join(sampled[:3]) + (f" and {len(sampled) - 3} more" if len(sampled) > 3 else "")
        text = f"{who} lacks steps of {names}: it was told to keep a sample, or they could not be read."
        yield Finding("problem", text, "Start it again without `gradclip=...` in --samples_per_plugin.")
    else:
        yield Finding("ok", f"{who} shows every step of {len(recorded)} run{'s' * (len(recorded) != 1)}.")


def _fetch(address: str) -> Any:
    """JSON from a TensorBoard on this machine, past any proxy.

    Raises:
      OSError: it does not answer, or with an error.
      ValueError: with something else.
    """
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(address, timeout=PATIENCE) as response:
        return json.load(response)
