"""What a person sees of logs that know nothing of us, in a real browser inside real TensorBoard."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator

from tb_gradclip.core.rules import Rule
from tests.browser.conftest import Dashboard
from tests.browser.test_dashboard import INK
from tests.browser.test_export import taken
from tests.logs import write_run
from tests.scalars import DIVERGES, diverging_loss, healthy_loss, points, write_scalars
from tests.tensorboard import tensorboard

RUNS = ("diverges", "healthy")


def write_plain(logdir: Path) -> None:
    """Two runs: the training loss of one diverges, the validation loss of neither."""
    losses = {"diverges": diverging_loss(), "healthy": healthy_loss(seed=1)}
    for name in RUNS:
        scalars = {"train/loss": points(losses[name]), "val/loss": points(healthy_loss(seed=2), every=20)}
        write_scalars(logdir / name, {**scalars, "accuracy": points([0.5])})


@pytest.fixture(scope="module")
def plain(loader: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    logs = tmp_path_factory.mktemp("plain") / "logs"
    write_plain(logs)
    with tensorboard(logs, loader) as address:
        yield address


def open_scalars(dashboard: Dashboard, address: str, link: str = "", runs: int = 2) -> None:
    """Go to the tab and wait until the loss of every run is drawn."""
    dashboard.leave()  # else a link that differs in its hash alone loads nothing
    dashboard.page.goto(f"{address}#gradclip{link}")
    dashboard.frame.wait_for_function(
        "runs => document.querySelectorAll('[data-testid=run]').length === runs", arg=runs, timeout=60_000
    )
    dashboard.settle(1500)


def markers(dashboard: Dashboard) -> list[Locator]:
    return dashboard.chart("chart-loss").get_by_test_id("marker").all()


def label(marker: Locator) -> str:
    return marker.get_attribute("aria-label") or ""


def test_the_loss_of_a_log_that_knows_nothing_of_us_is_drawn_and_its_divergence_marked(
    dashboard: Dashboard, plain: str
) -> None:
    open_scalars(dashboard, plain)
    assert dashboard.chart("chart-loss").evaluate(INK) > 1000
    (marker,) = markers(dashboard)
    assert marker.get_attribute("data-computed") == "true"
    assert "Computed from the points of train/loss that TensorBoard kept (1,000 of the run)" in label(marker)
    marker.hover()
    tooltip = dashboard.frame.get_by_test_id("tooltip")
    tooltip.wait_for()
    said = tooltip.inner_text()
    assert "diverges" in said
    assert "Computed from the points of train/loss" in said
    (step,) = re.findall(r"Step ([\d,]+)", said)
    assert DIVERGES < int(step.replace(",", "")) < DIVERGES + 50


def test_nothing_is_claimed_of_gradients_that_were_not_recorded(dashboard: Dashboard, plain: str) -> None:
    open_scalars(dashboard, plain)
    for name in RUNS:
        run = dashboard.frame.locator(f"[data-testid=run][data-run={name}]")
        assert "scalars only" in run.inner_text()
        row = dashboard.frame.locator(f"[data-testid=health-row][data-run={name}]").inner_text()
        assert "scalars only" in row
        assert row.count("none") == (name == "healthy")  # of alerts: of rule and lint nothing is known
    for chart in ("chart-norm", "chart-clip-rate", "chart-distribution"):
        assert dashboard.chart(chart).count() == 0
    notes = dashboard.frame.get_by_test_id("not-recorded")
    assert [note.locator("p").inner_text() for note in notes.all()] == [
        "No gradients were recorded in the selected runs."
    ] * 2
    notes.first.locator("summary").click()
    assert "ClipWriter" in notes.first.inner_text()
    assert dashboard.frame.get_by_test_id("sampled").count() == 0


def test_another_scalar_changes_curve_and_markers_and_a_link_keeps_it(dashboard: Dashboard, plain: str) -> None:
    open_scalars(dashboard, plain)
    choice = dashboard.frame.get_by_test_id("loss-scalar")
    assert choice.locator("option").all_inner_texts() == ["automatic", "train/loss", "val/loss"]
    before = dashboard.chart("chart-loss").screenshot()
    choice.select_option("val/loss")
    dashboard.settle(1500)
    assert markers(dashboard) == []
    assert dashboard.chart("chart-loss").screenshot() != before
    link = dashboard.page.evaluate("location.hash").removeprefix("#gradclip")
    assert "val" in link
    open_scalars(dashboard, plain, link)
    assert dashboard.frame.get_by_test_id("loss-scalar").input_value() == "val/loss"
    assert markers(dashboard) == []
    dashboard.frame.get_by_test_id("loss-scalar").select_option("")
    dashboard.settle(1500)
    assert len(markers(dashboard)) == 1
    assert "val" not in dashboard.page.evaluate("location.hash")


def test_losses_that_are_scalars_are_taken_along_as_a_table(dashboard: Dashboard, plain: str) -> None:
    open_scalars(dashboard, plain, "&p.gradclip.zoom=100_199")
    _, content = taken(dashboard, "loss", "csv")
    rows = list(csv.DictReader(io.StringIO(content.decode(), newline="")))
    assert {row["run"] for row in rows} == set(RUNS)
    assert all(100 <= int(row["step"]) <= 199 and float(row["loss"]) > 0 for row in rows)
    assert list(rows[0]) == ["run", "step", "wall_time", "loss"]


def test_recorded_runs_and_others_are_side_by_side(dashboard: Dashboard, tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    write_run(logs / "clipped", 2000, Rule("global_norm", 1.0))
    write_plain(logs)
    with tensorboard(logs) as address:
        dashboard.open(address, runs=3)
        assert "1 of 1" in dashboard.frame.get_by_test_id("completeness").inner_text()
        assert dashboard.frame.get_by_test_id("not-recorded").count() == 0
        runs = dashboard.frame.get_by_test_id("distribution-run").locator("option")
        assert runs.all_inner_texts() == ["clipped"]
        choices = dashboard.frame.get_by_test_id("loss-scalar").locator("option").all_inner_texts()
        assert choices == ["recorded", "train/loss", "val/loss"]
        dashboard.frame.locator("[data-testid=run][data-run=clipped] input").uncheck()
        dashboard.frame.get_by_test_id("not-recorded").first.wait_for()
        (marker,) = markers(dashboard)
        assert ", diverges. Divergence: " in label(marker)
        dashboard.frame.locator("[data-testid=run][data-run=clipped] input").check()
        dashboard.chart("chart-norm").wait_for()
        dashboard.settle(800)
        assert dashboard.chart("chart-norm").evaluate(INK) > 1000
        dashboard.leave()


def test_a_log_with_neither_says_how_to_record(dashboard: Dashboard, tmp_path: Path) -> None:
    write_scalars(tmp_path / "logs" / "run", {"accuracy": points([0.5])})
    with tensorboard(tmp_path / "logs") as address:
        dashboard.page.goto(f"{address}data/plugin_entry.html?name=gradclip")
        dashboard.page.get_by_test_id("empty").wait_for()
        dashboard.leave()


@pytest.mark.parametrize("width", [1000, 400])
def test_a_narrow_window_needs_no_scrolling_sideways(dashboard: Dashboard, plain: str, width: int) -> None:
    dashboard.page.set_viewport_size({"width": width, "height": 900})
    open_scalars(dashboard, plain)
    for summary in dashboard.frame.locator(".not-recorded summary").all():
        summary.click()
    assert dashboard.frame.evaluate("() => document.documentElement.scrollWidth <= window.innerWidth")
