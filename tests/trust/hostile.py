"""Logs whose names and texts try to be more than that."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tb_gradclip.core.alert import Alert
from tb_gradclip.core.counted import HistogramCounts
from tb_gradclip.core.histogram import count
from tb_gradclip.core.parameter import Parameter
from tb_gradclip.core.rows import Measurements
from tb_gradclip.core.rules import Rule
from tb_gradclip.recorder import Recorder
from tb_gradclip.storage.write import EventFile
from tests.logs import START

ATTACK = "window.attacked = (window.attacked || 0) + 1"
"""What a browser test looks for: whoever runs this leaves a mark."""

MARKUP = [
    f"<script>{ATTACK}</script>",
    f"<img src=x onerror='{ATTACK}'>",
    f"\"><svg onload='{ATTACK}'><b class=injected>",
    f"</text><script>{ATTACK}</script>",
    f"]]><script>{ATTACK}</script><![CDATA[",
    f"javascript:{ATTACK}",
    "&lt;b&gt;&amp;&#60;&quot;",
    f"{{{{constructor.constructor('{ATTACK}')()}}}}",
]
FORMULAS = ["=1+cmd|' /C calc'!A0", "+1+2", "-1+2", "@SUM(A1)", "\t=1+2", "\r=1+2", "\n=1+2", "＝1"]
SCRIPTS = [
    "\u202egnp.evil",
    "\u2066\u202e\u2067unclosed isolates",
    "שלום עולם, ימין",
    "\U0001f4a5\U0001f468\u200d\U0001f469\u200d\U0001f467\u0336" + "\u0336" * 30,
    "two\nlines\r\nand\u2028more\u0085of\x0bthem",
    "\x00\x01\x1b[31m\x7f\ufffe\uffff",
    "\ud83d alone \udca5",
]
PATHS = [
    "../../etc/passwd",
    "..\\..\\windows\\win.ini",
    "file:///etc/passwd",
    "%2e%2e%2f%00",
    "__proto__",
    "constructor",
]
LONG = ["w" * 10_000, "long " * 2_000, "\u202e" + "ש" * 10_000]

TEXTS = [*MARKUP, *FORMULAS, *SCRIPTS, *PATHS, *LONG]
"""What a parameter, an alert or a tag may be called."""


def _is_file_name(text: str) -> bool:
    try:
        return "/" not in text and "\0" not in text and len(text.encode()) <= 255
    except UnicodeEncodeError:
        return False


RUNS = [
    *(text for text in TEXTS if _is_file_name(text)),
    "<script>window.attacked = 1<",
    "nested " * 30 + "/" + "deep " * 45 + "/" + "w" * 240 + "/" + "\u202e" + "x" * 200 + "/" + "=1+2",
]
"""What a run may be called: its name is a path."""


def write_hostile(logdir: Path, name: str, steps: int = 300) -> None:
    """A run of this name, whose parameters and alerts are called `TEXTS`; it is not clipped and breaks half-way."""
    rng = np.random.default_rng(0)
    parameters = [Parameter(text, (4, 4)) for text in TEXTS]
    book = Recorder(EventFile(logdir / name), framework="torch", library=MARKUP[0], parameters=parameters)
    book.add_finding("not_covered", 0, names=TEXTS)
    axis = np.arange(steps)
    losses = 2 + rng.normal(0, 0.01, steps)
    norms = np.exp(rng.normal(-0.3, 0.25, (steps, len(TEXTS))))
    norms[steps // 2 :, ::2] = np.nan
    losses[steps // 2 :] = np.nan
    for first in range(0, steps, 50):
        part = slice(first, first + 50)
        counted = [count(rng.normal(0, 1, 16).astype(np.float32)) for _ in TEXTS]
        book.add_histogram(HistogramCounts(first, np.stack(counted)))
        limits, joint = np.full(50, np.nan), np.linalg.norm(norms[part], axis=1)
        rule, times = Rule("none"), START + axis[part] / 2
        book.add_steps(Measurements(rule, axis[part], times, losses[part], limits, joint, norms[part], None))
    book._write_alerts(_alerts(), steps - 1, START + steps / 2)
    book.close()


def _alerts() -> list[Alert]:
    """What no recorder of ours writes, but somebody may."""
    events = [
        Alert(
            10 + i, "spike", "warning", text, text, START + i, departures=((text, 1),), start=i, peak=1.0, peak_step=i
        )
        for i, text in enumerate(TEXTS)
    ]
    return [*events, *(Alert(5, "lint", "info", text, finding=text, remedy=text) for text in TEXTS)]
