"""The dashboard without a mouse, without eyes and without motion, in real TensorBoard."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser.axe import grave_findings
from tests.browser.conftest import Dashboard
from tests.tensorboard import tensorboard, wait_for_steps

# What has the focus, whether one sees that, and whether it is in view. Of a radio button its label shows it.
FOCUSED = """
() => {
  const focused = document.activeElement;
  const shown = focused.matches("input[type=radio]") ? focused.closest("label") : focused;
  const {outlineStyle, outlineWidth} = getComputedStyle(shown);
  const {top, bottom, left, right, width} = shown.getBoundingClientRect();
  return {
    name: focused.dataset.testid ?? focused.id ?? "",
    role: focused.getAttribute("role") ?? focused.type ?? focused.tagName.toLowerCase(),
    label: focused.getAttribute("aria-label") ?? focused.innerText ?? "",
    outlined: outlineStyle !== "none" && parseFloat(outlineWidth) >= 1,
    inView: width > 0 && bottom > 0 && top < innerHeight && right > 0 && left < innerWidth,
  };
}
"""


@pytest.fixture(scope="module")
def address(logdir: Path) -> Iterator[str]:
    """One loader: what is shown does not depend on it."""
    with tensorboard(logdir, "--load_fast=true") as address:
        wait_for_steps(address, 5000)
        yield address


def darken(dashboard: Dashboard) -> None:
    dashboard.page.evaluate("() => document.body.classList.add('dark-mode')")
    dashboard.settle(200)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1300, 600])
def test_axe_finds_nothing_grave(dashboard: Dashboard, address: str, width: int, dark: bool) -> None:
    dashboard.page.set_viewport_size({"width": width, "height": 1300})
    dashboard.open(address)
    if dark:
        darken(dashboard)
    assert grave_findings(dashboard.frame) == []
    dashboard.frame.locator("[data-run=by_value] [data-testid=lint] button").click()
    dashboard.frame.get_by_test_id("export-loss").click()
    dashboard.frame.locator(".menu").wait_for()
    assert grave_findings(dashboard.frame) == []
    dashboard.chart("chart-loss").get_by_test_id("marker").first.focus()
    dashboard.frame.get_by_test_id("tooltip").wait_for()
    assert grave_findings(dashboard.frame) == []
    for box in dashboard.frame.locator("[data-testid=run] input").all():
        box.uncheck()
    dashboard.frame.get_by_test_id("no-selection").wait_for()
    assert grave_findings(dashboard.frame) == []


def test_the_tab_key_reaches_everything_in_the_order_of_the_page_and_shows_where_it_is(
    dashboard: Dashboard, address: str
) -> None:
    dashboard.open(address)
    dashboard.frame.get_by_test_id("search").focus()
    seen = []
    for _ in range(120):
        seen.append(dashboard.frame.evaluate(FOCUSED))
        if seen[-1]["name"] == "alert":
            break
        dashboard.page.keyboard.press("Tab")
    assert [each for each in seen if not (each["outlined"] and each["inView"])] == []
    names = [each["name"] or each["label"] for each in seen]
    wanted = [
        "search",
        "Show broken",
        "Show only broken",
        "smoothing",
        "copy-health",
        "log-loss",
        "export-loss",
        "chart-loss",
        "marker",
        "log-norm",
        "export-norm",
        "chart-norm",
        "export-clip-rate",
        "chart-clip-rate",
        "export-throttle",
        "chart-throttle",
        "distribution-run",
        "distribution-parameter",
        "export-distribution",
        "chart-distribution",
        "chart-histogram-map",
        "what-if-run",
        "export-what-if",
        "threshold-handle",
        "copy-code",
        "export-parameters",
        "chart-parameters",
        "parameter-search",
        "copy-parameters",
        "sort-name",
        "alert-kind",
        "help-alerts",
        "alert",
    ]
    assert [name for name in names if name in wanted] == sorted(
        (name for name in names if name in wanted), key=wanted.index
    )
    assert set(wanted) <= set(names)
    assert names.count("marker") == dashboard.chart("chart-loss").get_by_test_id("marker").count()
    assert all(each["label"].strip() for each in seen if each["role"] in ("button", "checkbox", "group"))


def test_a_marker_is_read_and_opened_with_the_keyboard(dashboard: Dashboard, address: str) -> None:
    dashboard.open(address)
    marker = dashboard.chart("chart-loss").get_by_test_id("marker").first
    marker.focus()
    dashboard.frame.get_by_test_id("tooltip").wait_for()
    dashboard.page.keyboard.press("Enter")
    dashboard.frame.get_by_test_id("reset-zoom").wait_for()
    dashboard.chart("chart-norm").focus()
    for key in ("ArrowRight", "ArrowRight", "ArrowLeft"):
        dashboard.page.keyboard.press(key)
    dashboard.frame.get_by_test_id("tooltip").wait_for()
    first = dashboard.cursor("chart-norm")
    dashboard.page.keyboard.press("ArrowRight")
    dashboard.settle(100)
    assert dashboard.cursor("chart-norm") > first
    dashboard.until(lambda: "p.gradclip.step=" in dashboard.page.url)  # the marker's, which is taken back first
    dashboard.page.keyboard.press("Escape")
    dashboard.until(lambda: "p.gradclip.step=" not in dashboard.page.url)
    assert dashboard.frame.get_by_test_id("reset-zoom").is_visible()
    dashboard.page.keyboard.press("Escape")
    dashboard.frame.get_by_test_id("reset-zoom").wait_for(state="detached")


def test_nothing_moves_for_those_who_asked_for_that(dashboard: Dashboard, address: str) -> None:
    running = "() => document.getAnimations().filter(each => each.playState === 'running').length"
    dashboard.page.route("**/gradclip/runs", lambda route: None)  # never answered
    for motion, least in (("no-preference", 1), ("reduce", 0)):
        dashboard.page.emulate_media(reduced_motion=motion)  # type: ignore[arg-type]
        dashboard.page.goto("about:blank")
        dashboard.page.goto(f"{address}#gradclip")
        dashboard.frame.get_by_test_id("loading").wait_for()
        assert dashboard.frame.evaluate(running) == least


def test_values_at_a_cursor_that_keys_move_are_said_aloud(dashboard: Dashboard, address: str) -> None:
    dashboard.open(address)
    spoken = dashboard.frame.get_by_test_id("spoken-norm")
    dashboard.hover("chart-norm", 0.4)
    assert spoken.text_content() == ""
    dashboard.chart("chart-norm").focus()
    dashboard.page.keyboard.press("ArrowRight")
    step = dashboard.cursor("chart-norm")
    said = spoken.text_content() or ""
    assert said.startswith(f"Step {step:,}: ")
    assert all(f"{run} " in said for run in ("broken", "by_value", "clipped"))
    assert spoken.get_attribute("role") == "status"
    dashboard.page.keyboard.press("ArrowRight")
    dashboard.until(lambda: (spoken.text_content() or "").startswith(f"Step {dashboard.cursor('chart-norm'):,}: "))
    assert spoken.text_content() != said
    assert grave_findings(dashboard.frame) == []
