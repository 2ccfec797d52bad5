"""What the recorder promises to every adapter."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import FrameType, SimpleNamespace

import numpy as np
import pytest

import tb_gradclip
from tb_gradclip.core.alert import Alert
from tb_gradclip.core.counted import HistogramCounts
from tb_gradclip.core.histogram import CODES
from tb_gradclip.core.parameter import Parameter
from tb_gradclip.core.rows import STEP_DTYPE, Measurements, step_rows
from tb_gradclip.core.rules import Rule
from tb_gradclip.core.schedule import SHORTEST_WINDOW
from tb_gradclip.core.schema import Tag, decode_outline
from tb_gradclip.core.totals import Totals
from tb_gradclip.recorder import Recorder
from tb_gradclip.storage.events import event_files, read_events, read_shards
from tb_gradclip.storage.write import EventFile
from tests.benchmarks.synthetic import Training

OURS = str(Path(tb_gradclip.__file__).parent)


def recorder(logdir: Path) -> Recorder:
    parameters = [Parameter("a", (2,)), Parameter("b", (3,))]
    return Recorder(EventFile(logdir), framework="test", library="test 1", parameters=parameters)


def measured(first: int, losses: list[float], kind: str = "global_norm", threshold: float = 1.0) -> Measurements:
    n = len(losses)
    norms = np.ones((n, 2))
    return Measurements(
        Rule(kind, threshold),
        np.arange(first, first + n),
        np.full(n, 1.7e9),
        np.array(losses),
        np.full(n, threshold),
        np.full(n, np.sqrt(2)),
        norms,
    )


@pytest.mark.parametrize("batch", [1, 7, 64, 3000])
def test_every_step_is_kept_whatever_the_size_of_the_batches(tmp_path: Path, batch: int) -> None:
    book = recorder(tmp_path)
    for first in range(0, 3000, batch):
        book.add_steps(measured(first, [2.0] * min(batch, 3000 - first)))
    book.close()
    run = tb_gradclip.read(tmp_path)["."]
    assert run.steps["step"].tolist() == list(range(3000))
    assert run.complete
    assert sum(window.steps for window in run.windows) == 3000


def test_a_long_run_is_outlined_as_it_grows_and_the_outlines_are_those_of_its_rows(tmp_path: Path) -> None:
    book = recorder(tmp_path)
    for first in range(0, 40_000, 1_000):
        book.add_histogram(HistogramCounts(first, np.zeros((2, CODES), np.int64)))
        book.add_steps(measured(first, [float(first % 7)] * 1_000))
    book.close()
    (files,) = event_files(tmp_path).values()
    shards = {tag: shard for tag, shard in read_shards(files).items() if tag.kind == "outlines"}
    outlines = [decode_outline(frame) for shard in shards.values() for frame in shard.frames]
    steps = tb_gradclip.read(tmp_path)["."].steps
    assert len(outlines) == 2
    assert [step for outline in outlines for step in outline.histogram_steps] == list(
        range(0, outlines[1].end_row, 1_000)
    )
    assert (outlines[0].first_row, outlines[0].end_row) == (0, outlines[1].first_row)
    for outline in outlines:
        assert outline.totals == Totals().plus(steps[outline.first_row : outline.end_row])
        for name in STEP_DTYPE.names or ():
            np.testing.assert_array_equal(outline.rows[name], steps[name][outline.rows["row"]])


def test_no_tag_holds_more_records_than_the_slowest_loader_keeps(tmp_path: Path) -> None:
    book = recorder(tmp_path)
    for first in range(0, 20_000, 500):
        book.add_steps(measured(first, [2.0] * 500))
        book.flush()
    book.close()
    (files,) = event_files(tmp_path).values()
    records: dict[str, int] = {}
    for event in read_events(files[0]):
        for value in event.summary.value:
            if value.tag.count("/") == 3:
                records[value.tag] = records.get(value.tag, 0) + 1
    assert max(records.values()) <= 8
    assert len(records) > 10


def test_the_threshold_of_a_schedule_is_kept_for_every_step_and_the_newest_is_the_rule(tmp_path: Path) -> None:
    book = recorder(tmp_path)
    for step, threshold in enumerate([1.0, 0.5, 0.25]):
        book.add_steps(measured(step, [2.0], threshold=threshold))
    book.close()
    run = tb_gradclip.read(tmp_path)["."]
    assert run.steps["threshold"].tolist() == [1.0, 0.5, 0.25]
    assert run.rule.threshold == 0.25


def test_a_step_that_was_not_clipped_does_not_hide_the_rule(tmp_path: Path) -> None:
    book = recorder(tmp_path)
    book.add_steps(measured(0, [2.0]))
    book.add_steps(measured(1, [2.0], kind="none", threshold=np.nan))
    book.close()
    assert tb_gradclip.read(tmp_path)["."].rule.kind == "global_norm"


def test_copies_for_other_tabs_are_finite(tmp_path: Path) -> None:
    book = recorder(tmp_path)
    book.add_steps(measured(0, [2.0] * 64))
    broken = measured(64, [2.0] * 64)
    broken.norm_before[:] = np.nan
    broken.norms_before[:] = np.inf
    book.add_steps(broken)
    book.close()
    (files,) = event_files(tmp_path).values()
    scalars: dict[str, list[float]] = {}
    for event in read_events(files[0]):
        for value in event.summary.value:
            if value.tensor.float_val:
                scalars.setdefault(value.tag, []).extend(value.tensor.float_val)
    assert set(scalars) == {"gradclip/clip_rate", "gradclip/norm_before", "gradclip/norm_after"}
    assert all(np.isfinite(values).all() for values in scalars.values())
    assert all(len(values) == 64 // SHORTEST_WINDOW for values in scalars.values())


def test_a_failure_of_ours_warns_once_and_never_reaches_training(tmp_path: Path) -> None:
    book = recorder(tmp_path)
    wrong = measured(0, [2.0])
    object.__setattr__(wrong, "norms_before", "nonsense")
    with pytest.warns(UserWarning, match="gradclip stopped recording: .*Training is not affected") as caught:
        for _ in range(5):
            book.add_steps(wrong)
    assert len(caught) == 1


PROGRAM = """
import sys, time
from pathlib import Path
from tests.test_recorder import measured, recorder
book = recorder(Path(sys.argv[1]))
for first in range(0, 700, 7):
    book.add_steps(measured(first, [2.0] * 7))
if sys.argv[2] == "killed":
    book.flush()
    print("ready", flush=True)
    time.sleep(60)
"""


def test_a_program_that_ends_without_closing_loses_nothing(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", PROGRAM, str(tmp_path), "ends"], check=True)
    assert len(tb_gradclip.read(tmp_path)["."].steps) == 700


def test_a_killed_program_keeps_what_was_flushed(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", PROGRAM, str(tmp_path), "killed"], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert len(tb_gradclip.read(tmp_path)["."].steps) == 700


def test_rows_go_out_within_seconds_of_being_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tb_gradclip.recorder.SECONDS_PER_RECORD", 0.05)
    book = recorder(tmp_path)
    for first in range(20):
        book.add_steps(measured(first, [2.0]))
        time.sleep(0.01)
    deadline = time.monotonic() + 5
    while len(tb_gradclip.read(tmp_path)["."].steps) < 10 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len(tb_gradclip.read(tmp_path)["."].steps) >= 10
    book.close()


def slow_run(logdir: Path, monkeypatch: pytest.MonkeyPatch, rule: Rule, steps: int) -> None:
    """Record one step a second, of which four go into a record."""
    clock = SimpleNamespace(now=0.0, monotonic=lambda: clock.now, time=time.time)
    monkeypatch.setattr("tb_gradclip.recorder.time", clock)
    training = Training(4, pace=1)
    book = training.recorder(EventFile(logdir), histogram_every=0)
    for seen in training.batches(steps, size=1):
        book.write_if_due()
        after = np.float32(0.7) * seen.norms_before
        book.add_steps(replace(seen, rule=rule, norms_after=after if rule.measures_after else None))
        book.add_own_time(0.002)
        clock.now += 1.0
    book.close()


@pytest.mark.parametrize("rule", [Rule("global_norm", 1.0, epsilon=1e-6), Rule.by_value(-1.0, 1.0), Rule("none")])
def test_a_step_takes_no_more_than_64_bytes_even_if_only_four_share_a_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rule: Rule
) -> None:
    slow_run(tmp_path, monkeypatch, rule, 500)
    (files,) = event_files(tmp_path).values()
    sizes = [
        event.ByteSize() + 16  # length and two checksums
        for event in read_events(files[0])
        if any((tag := Tag.parse(value.tag)) and tag.kind == "steps" for value in event.summary.value)
    ]
    assert len(sizes) == pytest.approx(500 / 4, abs=1)
    assert sum(sizes) / 500 <= 64


def test_the_cost_of_a_slow_run_is_known_however_seldom_it_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for steps in (10, 50, 500):
        slow_run(tmp_path / str(steps), monkeypatch, Rule("none"), steps)
        assert tb_gradclip.read(tmp_path)[str(steps)].overhead == pytest.approx(0.002, rel=0.2)


def test_around_an_event_every_norm_is_kept_and_the_alert_says_who_went_first(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    norms = rng.uniform(0.9, 1.1, (400, 2))
    norms[296:, 1] *= 50
    norms[300] = np.nan
    book = recorder(tmp_path)
    for first in range(0, 400, 7):
        part = measured(first, [2.0] * min(7, 400 - first))
        book.add_steps(
            replace(
                part,
                norms_before=norms[first : first + 7],
                norm_before=np.linalg.norm(norms[first : first + 7], axis=1),
            )
        )
    book.close()
    run = tb_gradclip.read(tmp_path)["."]
    (alert,) = [alert for alert in run.alerts if alert.kind == "nonfinite"]
    assert (alert.step, alert.parameter, alert.departures) == (300, "b", (("b", 4),))
    assert str(alert).endswith("(first not finite: b)")
    (flight,) = run.flights
    (exploded,) = [alert for alert in run.alerts if alert.kind == "explosion"]
    assert (exploded.step, exploded.parameter, exploded.start) == (299, "b", 296)
    assert flight.steps.tolist() == list(range(235, 333))
    np.testing.assert_array_equal(flight.norms, norms[235:333].astype(np.float32))


def test_a_flight_that_is_not_complete_is_written_when_the_run_ends(tmp_path: Path) -> None:
    book = recorder(tmp_path)
    book.add_steps(measured(0, [2.0] * 9 + [float("nan")]))
    book.close()
    (flight,) = tb_gradclip.read(tmp_path)["."].flights
    assert flight.steps.tolist() == list(range(10))


def test_a_divergence_is_told_at_once_and_recorded_again_when_it_is_over(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    losses = 2.0 * np.exp(rng.normal(0, 0.05, 600))
    losses[200:230] *= 5
    losses[210] *= 2
    losses[400:] *= 5
    heard: list[Alert] = []
    parameters = [Parameter("a"), Parameter("b")]
    book = Recorder(EventFile(tmp_path), framework="test", library="", parameters=parameters, on_alert=heard.append)
    for first in range(0, 600, 10):
        book.add_steps(measured(first, losses[first : first + 10].tolist()))
        book.act()
    book.close()
    assert [(alert.kind, alert.end) for alert in heard] == [("divergence", None)] * 2
    first, second = tb_gradclip.read(tmp_path)["."].alerts
    assert (first.step, first.start) == (heard[0].step, 200)
    assert (first.peak_step, first.end, first.recovered) == (210, 230, True)
    assert first.peak == pytest.approx(losses[210], rel=1e-6)
    assert (second.step, second.start, second.end, second.recovered) == (heard[1].step, 400, None, False)
    assert second.peak == pytest.approx(losses[400:].max(), rel=1e-6)


@pytest.mark.parametrize("batch", [10, 1000])
def test_what_begins_and_ends_in_one_batch_is_recorded_as_it_ended(tmp_path: Path, batch: int) -> None:
    losses = [2.0] * 200 + [20.0] * 30 + [2.0] * 770
    book = recorder(tmp_path)
    for first in range(0, 1000, batch):
        book.add_steps(measured(first, losses[first : first + batch]))
    book.close()
    (alert,) = (alert for alert in tb_gradclip.read(tmp_path)["."].alerts if alert.kind == "divergence")
    assert (alert.start, alert.end, alert.recovered) == (200, 230, True)


class Interruption:
    """Traces what a function of ours calls, line by line, and raises at one of the lines as Ctrl-C does."""

    def __init__(self, place: int) -> None:
        self.place, self.lines = place, 0

    def __call__(self, frame: FrameType, event: str, argument: object) -> Interruption | None:
        if not frame.f_code.co_filename.startswith(OURS):
            return None
        if event == "line":
            self.lines += 1
            if self.lines == self.place:
                raise KeyboardInterrupt
        return self


def interrupted(place: int, function: Callable[[], object]) -> bool:
    """Whether a function that is interrupted at its so-manieth line gets so far."""
    before = sys.gettrace()
    sys.settrace(Interruption(place))
    try:
        function()
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(before)
    return False


@pytest.mark.parametrize("name", ["flush", "close"])
def test_ctrl_c_at_any_line_of_writing_loses_no_row(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, long: bool
) -> None:
    monkeypatch.setattr("tb_gradclip.recorder.ROWS_PER_RECORD", 4)
    monkeypatch.setattr("tb_gradclip.recorder.ROWS_PER_OUTLINE", 6)
    for place in itertools.count(1, 1 if long else 3):
        logdir = tmp_path / str(place)
        book = recorder(logdir)
        book.add_steps(measured(0, [2.0]))
        for first in (1, 3):  # as if these had come in two rounds
            book._pending.add(step_rows(measured(first, [2.0] * (6 if first == 3 else 2)))[0])
        hit = interrupted(place, getattr(book, name))
        if name == "flush":
            book.add_steps(measured(9, [2.0] * 3))
        book.close()
        book.close()
        run = tb_gradclip.read(logdir)["."]
        assert run.steps["step"].tolist() == list(range(12 if name == "flush" else 9)), place
        assert run.complete, place
        (files,) = event_files(logdir).values()
        outlines = [
            decode_outline(frame)
            for tag, shard in read_shards(files).items()
            for frame in shard.frames
            if tag.kind == "outlines"
        ]
        for outline in outlines:  # those that are there are right: others are not missed
            np.testing.assert_array_equal(outline.rows["step"], run.steps["step"][outline.rows["row"]])
            assert outline.totals == Totals().plus(run.steps[outline.first_row : outline.end_row])
        if not hit:
            assert len(outlines) > 0
            assert place > 100
            break
