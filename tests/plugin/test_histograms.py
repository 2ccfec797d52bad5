"""The route `histograms`, on written logs, against a count over the values that the single histograms say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from werkzeug.test import Client

import tb_gradclip
from tb_gradclip.core.histogram import GradientHistogram, count
from tb_gradclip.core.histogram_map import MOST_BINS, histogram_map, thinned
from tb_gradclip.core.rules import Rule
from tb_gradclip.storage.outlined_source import OutlinedSource
from tests.logs import BREAK, GrowingRun, write_runs, write_small_records
from tests.plugin.server import serve
from tests.plugin.wire import decode_histograms

SIDES = ("before", "after")


@pytest.fixture(scope="module")
def logdir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("maps")
    write_runs(path)
    return path


@pytest.fixture(scope="module")
def client(logdir: Path) -> Client:
    return serve(logdir)


def fetched(client: Client, query: str) -> dict[str, Any]:
    answer = client.get(f"/histograms?{query}")
    assert answer.status_code == 200, answer.text
    assert answer.mimetype == "application/octet-stream"
    return decode_histograms(answer.data)


@pytest.mark.parametrize("run", ["clipped", "by_value", "broken"])
@pytest.mark.parametrize("parameter", [None, "rnn.weight"])
def test_a_map_counts_what_the_single_histograms_count(
    client: Client, logdir: Path, run: str, parameter: str | None
) -> None:
    histograms = tb_gradclip.read(logdir)[run].histograms
    found = fetched(client, f"run={run}" + (f"&parameter={parameter}" if parameter else ""))
    assert (found["steps"], found["total"], found["bins"]) == (100, 100, len(found["edges"]) - 1)
    np.testing.assert_array_equal(found["step"], histograms.steps)
    for i, histogram in enumerate(histograms):
        for side in SIDES:
            one = getattr(histogram, side)(parameter)
            np.testing.assert_allclose(found[side][i], brute(one, found["edges"]) / one.size, atol=1e-9)
            assert found[f"{side}_zero"][i] == one.zero / one.size
            total = found[side][i].sum() + found[f"{side}_zero"][i] + found[f"{side}_nonfinite"][i]
            assert total == pytest.approx(1)
    assert (found["before_nonfinite"] > 0).tolist() == [run == "broken" and step >= BREAK for step in found["step"]]


def brute(values: Any, edges: np.ndarray) -> np.ndarray:
    """Counts by magnitude, bin by bin: the part of each bin's octaves that lies between two edges."""
    result = np.zeros(len(edges) - 1)
    for low, high, amount in zip(values.low, values.high, values.counts, strict=True):
        inner, outer = sorted((abs(low), abs(high)))
        for i in range(len(result)):
            overlap = np.log2(min(outer, edges[i + 1])) - np.log2(max(inner, edges[i]))
            if overlap > 1e-9:
                result[i] += amount * overlap / np.log2(outer / inner)
    return result


def test_a_rule_on_values_says_where_it_cuts_and_no_other_does(client: Client) -> None:
    cut, scaled = fetched(client, "run=by_value"), fetched(client, "run=clipped")
    assert set(zip(cut["low"], cut["high"], strict=True)) == {(-0.01, 0.01)}
    assert cut["after"][:, cut["edges"][:-1] > 0.01].sum() == 0
    assert np.isnan(scaled["low"]).all()
    assert np.isnan(scaled["high"]).all()


@pytest.mark.parametrize(
    ("query", "steps", "total"),
    [
        ("from=120&to=260", [100, 150, 200, 250], 4),
        ("from=100&to=100", [100], 1),
        ("from=-5&to=10", [0], 1),
        ("from=9000", [4950], 1),
        ("to=-1", [], 0),
        ("steps=3", [0, 2500, 4950], 100),
        ("steps=1&to=999", [950], 20),
    ],
)
def test_a_range_begins_with_the_step_that_still_holds_there(
    client: Client, query: str, steps: list[int], total: int
) -> None:
    found = fetched(client, f"run=clipped&{query}")
    assert (found["step"].tolist(), found["total"]) == (steps, total)


def test_of_a_long_run_no_more_is_read_than_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_small_records(monkeypatch)
    run = GrowingRun(tmp_path / "run")
    run.grow(20_000)
    run.recorder.close()
    read: list[int] = []
    frame = OutlinedSource._frame

    def watched(source: OutlinedSource, step: int) -> bytes:
        read.append(step)
        return frame(source, step)

    monkeypatch.setattr(OutlinedSource, "_frame", watched)
    found = fetched(serve(tmp_path), "run=run&steps=7")
    whole = tb_gradclip.read(tmp_path)["run"].histograms
    assert read == found["step"].tolist()
    assert len(read) == 7
    assert found["total"] == len(whole)
    one = whole.at(read[3]).before()
    np.testing.assert_allclose(found["before"][3], brute(one, found["edges"]) / one.size, atol=1e-12)


def test_wide_ranges_of_magnitude_join_bins() -> None:
    values = np.float32(2.0) ** np.arange(-120, 120)
    rule = Rule("none")
    found = histogram_map([GradientHistogram(7, 0.0, rule, ("w",), count(values)[None])])
    assert len(found.edges) - 1 <= MOST_BINS
    assert found.before.bins.sum() == pytest.approx(1)
    assert (found.edges[0], found.edges[-1] > 2.0**119) == (2.0**-120, True)


def test_nothing_but_zeros_and_nothing_at_all_are_maps_without_bins() -> None:
    zeros = GradientHistogram(0, 0.0, Rule("none"), ("w",), count(np.zeros(5))[None])
    empty = GradientHistogram(1, 1.0, Rule("none"), ("w",), count(np.zeros(0))[None])
    found = histogram_map([zeros, empty])
    assert found.before.bins.shape == (2, 0)
    np.testing.assert_array_equal(found.before.zero, [1, np.nan])
    assert histogram_map([]).after.bins.shape == (0, 0)


@pytest.mark.parametrize("most", [1, 2, 3, 7, 120])
def test_thinning_keeps_the_ends_and_spreads_evenly(most: int) -> None:
    for total in range(300):
        places = thinned(total, most)
        assert len(places) == min(most, total)
        assert places[-1:] == list(range(total))[-1:]
        if most > 1 and total:
            assert places[0] == 0
            gaps = np.diff(places)
            assert len(gaps) == 0 or gaps.max() - gaps.min() <= 1
