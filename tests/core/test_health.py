"""Words of the health line in Python, and the cases that the front end's tests hold its own words to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tb_gradclip.core.alert import ALERT_KINDS, Alert
from tb_gradclip.core.health import KINDS, chips, lint_chip, number, percent, percent_range, provenance
from tb_gradclip.core.imported import Imported

CASES = Path(__file__).parent.parent / "fixtures" / "health_words.json"

SHARES = (None, 0.0, 1.0, 1e-9, 0.0009, 0.001, 0.0025, 0.0075, 0.00999, 0.01, 0.025, 0.125, 0.135, 0.5, 0.985, 0.9899)
SHARES += (0.99, 0.9901, 0.9995, 0.99999, 0.999999999, -0.3, -0.0004)
NUMBERS = (
    0.0,
    0.25,
    1.125,
    1.135,
    12.345,
    999.4,
    999.6,
    1000.0,
    1234.5,
    999_999.4,
    1e6,
    1.5e7,
    1.2e-5,
    0.001,
    9.996e-4,
)
NUMBERS += (-2.5, -1.234e-9, 1e100)


def alert(kind: str, step: int, severity: str, message: str = "loss rose", finding: str | None = None) -> Alert:
    return Alert(step, kind, severity, message, finding=finding, remedy="Do." if finding else None)


ALERTS: list[list[Alert]] = [
    [],
    [alert("lint", 999, "info", finding="always_clipped")],
    [alert("lint", 3, "warning", finding="not_covered"), alert("lint", 999, "info", finding="always_clipped")],
    [alert("spike", 10, "warning"), alert("divergence", 612, "error"), alert("spike", 20_345, "warning")],
    [alert("nonfinite", 1846, "error", "loss is NaN")],
    [alert("nonfinite", 1846, "warning", "gradient norm is Inf in 3 parameters")],
    [alert("nonfinite", 5, "error", "gradients are not finite"), alert("nonfinite", 7, "warning", "loss is NaN")],
    *([alert(kind, 1_234_567, "info")] for kind in KINDS),
    *([alert(kind, 1, "info"), alert(kind, 2, "error")] for kind in KINDS),
]
SOURCES = [
    (1, "whole", None),
    (4, "whole", None),
    (2, "replica", None),
    (1, "whole", Imported("csv", "log.csv")),
]


def written() -> dict[str, Any]:
    """All cases with what Python says of them."""
    return {
        "percent": [[share, percent(share)] for share in SHARES],
        "percent_range": [[[a, b], percent_range(a, b)] for a, b in ((0.0, 1.0), (0.859, 0.9712), (0.0004, 0.02))],
        "number": [[value, number(value)] for value in NUMBERS],
        "provenance": [
            [
                {
                    "dtypes": [],
                    "replicas": replicas,
                    "gradients": gradients,
                    "imported": imported and {"text": imported.text},
                },
                provenance(replicas, gradients, imported),
            ]
            for replicas, gradients, imported in SOURCES
        ],
        "alerts": [
            {
                "alerts": [{**vars(each), "departures": [], "computed": False} for each in alerts],
                "chips": [list(chip) for chip in chips(alerts)],
                "lint": list(lint_chip(alerts)),
            }
            for alerts in ALERTS
        ],
    }


def test_the_front_end_is_tested_with_these_cases() -> None:
    """Rewritten when they differ, so that a change of words shows up in a diff and in the front end's tests."""
    cases = written()
    known = json.loads(CASES.read_text(encoding="utf-8")) if CASES.exists() else None
    if cases != known:
        CASES.write_text(json.dumps(cases, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    assert cases == known, f"words changed; look at {CASES} and commit it"


def test_every_kind_of_alert_has_words() -> None:
    assert {*KINDS, "lint"} == set(ALERT_KINDS)


@pytest.mark.parametrize("share", [1e-12, 0.0004, 0.9999999, 0.99949])
def test_a_share_that_is_almost_nothing_or_everything_does_not_read_as_that(share: float) -> None:
    assert percent(share) not in (percent(0.0), percent(1.0))


def test_what_is_not_finite_has_a_word() -> None:
    assert [number(x) for x in (float("nan"), float("inf"), float("-inf"))] == ["NaN", "∞", "−∞"]
    assert percent(float("nan")) == "–"
