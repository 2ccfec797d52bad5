"""The what-if panel and the help of panels, in a real browser inside real TensorBoard."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Locator

import tb_gradclip
from tb_gradclip.core.rules import Rule
from tests.browser.conftest import Dashboard
from tests.logs import write_run
from tests.tensorboard import fetch, tensorboard
from tests.test_recorder import measured, recorder

INK_OF = """
(chart, [red, green, blue]) => {
  const canvas = chart.querySelector("canvas");
  const {data} = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  let found = 0;
  for (let i = 0; i < data.length; i += 4)
    if (Math.abs(data[i] - red) + Math.abs(data[i + 1] - green) + Math.abs(data[i + 2] - blue) < 60) found += 1;
  return found;
}
"""


def open_run(dashboard: Dashboard, address: str, run: str = "clipped") -> Locator:
    """The handle of the panel, for one of the three runs."""
    dashboard.open(address)
    dashboard.frame.get_by_test_id("what-if-run").select_option(run)
    dashboard.settle(700)
    return dashboard.frame.get_by_test_id("threshold-handle")


def chosen(handle: Locator) -> float:
    return float(handle.get_attribute("aria-valuenow") or "nan")


def words(dashboard: Dashboard) -> str:
    return dashboard.frame.get_by_test_id("what-if-words").inner_text().replace("\u202f", " ")


def drag(dashboard: Dashboard, handle: Locator, pixels: float) -> None:
    handle.scroll_into_view_if_needed()
    box = handle.bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 3
    dashboard.page.mouse.move(x, y)
    dashboard.page.mouse.down()
    dashboard.page.mouse.move(x + pixels, y + 5, steps=6)
    dashboard.page.mouse.up()
    dashboard.settle(600)


def test_dragging_the_handle_tells_what_the_threshold_there_would_have_done(
    dashboard: Dashboard, board: str, logdir: Path
) -> None:
    handle = open_run(dashboard, board)
    norms = tb_gradclip.read(logdir)["clipped"].steps["norm_before"]
    assert re.search(r" clips 10 % of steps", words(dashboard))
    line, before = dashboard.chart("chart-norm").get_by_test_id("limit-line"), chosen(handle)
    assert not line.is_visible()
    drag(dashboard, handle, -40)
    after = chosen(handle)
    assert after < before
    assert f"clips {np.mean(norms > after) * 100:.0f} % of steps" in words(dashboard)
    assert handle.get_attribute("aria-valuetext") == dashboard.frame.get_by_test_id("what-if-words").inner_text()
    assert f"max_norm={after:g})" in dashboard.frame.get_by_test_id("code").inner_text()
    assert line.is_visible()
    assert line.inner_text() == f"what if {after:g}"
    dashboard.frame.get_by_test_id("clear-threshold").click()
    dashboard.settle(400)
    assert chosen(handle) == before
    assert not line.is_visible()


def test_the_line_on_the_norm_chart_can_be_dragged_by_its_label(dashboard: Dashboard, board: str) -> None:
    handle = open_run(dashboard, board)
    drag(dashboard, handle, -10)
    before, label = chosen(handle), dashboard.chart("chart-norm").get_by_text("what if")
    drag(dashboard, label, 0)  # five pixels down
    assert chosen(handle) < before
    assert label.inner_text() == f"what if {chosen(handle):g}"
    assert dashboard.frame.get_by_test_id("reset-zoom").count() == 0, "dragging zoomed"


def test_the_present_threshold_is_taken_hold_of_on_the_norm_chart(dashboard: Dashboard, board: str) -> None:
    handle = open_run(dashboard, board)
    grip, line = (dashboard.chart("chart-norm").get_by_test_id(f"limit-{part}") for part in ("handle", "line"))
    grip.scroll_into_view_if_needed()
    assert chosen(grip) == 1
    assert not line.is_visible()
    box = grip.bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    dashboard.page.mouse.move(x, y)
    dashboard.page.mouse.down()
    assert "p.gradclip.threshold" not in dashboard.page.url
    dashboard.page.mouse.move(x, y - 20, steps=5)
    dashboard.page.mouse.up()
    dashboard.settle(600)
    assert line.is_visible()
    assert chosen(handle) == chosen(grip) > 1.1
    assert line.inner_text() == f"what if {chosen(handle):g}"
    assert dashboard.frame.get_by_test_id("reset-zoom").count() == 0, "dragging zoomed"
    assert words(dashboard) == (grip.get_attribute("aria-valuetext") or "").replace("\u202f", " ")
    dashboard.frame.get_by_test_id("clear-threshold").click()
    dashboard.settle(400)
    assert chosen(grip) == 1
    assert not line.is_visible()


def test_the_line_on_the_norm_chart_moves_with_the_keyboard(dashboard: Dashboard, board: str) -> None:
    handle = open_run(dashboard, board)
    dashboard.chart("chart-norm").focus()
    dashboard.page.keyboard.press("Tab")
    grip = dashboard.chart("chart-norm").get_by_test_id("limit-handle")
    places = [chosen(grip)]
    assert grip.evaluate("grip => grip === document.activeElement")
    for key in ("ArrowUp", "ArrowUp", "PageUp", "Shift+ArrowUp"):
        dashboard.page.keyboard.press(key)
        dashboard.settle(100)
        places.append(chosen(grip))
    assert places == sorted(set(places))
    assert chosen(handle) == places[-1]
    dashboard.page.keyboard.press("ArrowDown")
    dashboard.settle(100)
    assert places[-2] < chosen(grip) < places[-1]
    assert grip.evaluate("grip => grip === document.activeElement")
    dashboard.page.keyboard.press("Escape")
    dashboard.settle(400)
    assert chosen(grip) == places[0]
    assert not dashboard.chart("chart-norm").get_by_test_id("limit-line").is_visible()


def test_a_run_that_does_not_clip_has_a_handle_to_begin_with(dashboard: Dashboard, board: str) -> None:
    handle = open_run(dashboard, board, "broken")
    grip = dashboard.chart("chart-norm").get_by_test_id("limit-handle")
    assert chosen(grip) == chosen(handle)
    assert (grip.get_attribute("aria-valuetext") or "").startswith("none")


def test_the_handle_moves_with_the_keyboard(dashboard: Dashboard, board: str) -> None:
    handle = open_run(dashboard, board)
    handle.focus()
    places = [chosen(handle)]
    for key in ("ArrowRight", "PageUp", "End"):
        dashboard.page.keyboard.press(key)
        places.append(chosen(handle))
    assert places == sorted(set(places))
    assert "clips 0 % of steps" in words(dashboard)
    dashboard.page.keyboard.press("Home")
    assert "clips 100 % of steps" in words(dashboard)
    dashboard.settle(500)
    assert handle.evaluate("handle => handle === document.activeElement")
    dashboard.page.keyboard.press("Escape")
    assert chosen(handle) == places[0]


def test_the_handle_moves_under_a_finger(browser: Browser, board: str) -> None:
    context = browser.new_context(viewport={"width": 700, "height": 1600}, has_touch=True)
    dashboard = Dashboard(context.new_page())
    handle = open_run(dashboard, board)
    handle.scroll_into_view_if_needed()
    box, before = handle.bounding_box(), chosen(handle)
    assert box is not None
    touches = [{"x": box["x"] + box["width"] / 2 - 10 * move, "y": box["y"] + 40} for move in range(8)]
    client = context.new_cdp_session(dashboard.page)
    for i, touch in enumerate(touches):
        kind = "touchMove" if i else "touchStart"
        client.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [touch]})
    client.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    dashboard.settle(300)
    assert chosen(handle) < before * 0.9
    context.close()


def test_a_suggestion_is_copied_as_code_and_sets_the_handle(dashboard: Dashboard, board: str) -> None:
    dashboard.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    handle = open_run(dashboard, board)
    row = dashboard.frame.locator("[data-testid=suggestion][data-key='share-0.01']")
    assert "spikes only" in row.inner_text()
    row.get_by_role("button").click()
    dashboard.settle(400)
    copied = dashboard.frame.evaluate("() => navigator.clipboard.readText()")
    assert copied == f"writer.clip_grad_norm_(model.parameters(), max_norm={chosen(handle):g})"
    assert f"{chosen(handle):g}" in row.inner_text()
    assert "copied" in row.inner_text()
    assert "clips 1.0 % of steps" in words(dashboard)
    dashboard.frame.get_by_text("Keras", exact=True).click()
    dashboard.frame.get_by_test_id("copy-code").click()
    dashboard.settle(200)
    copied = dashboard.frame.evaluate("() => navigator.clipboard.readText()")
    assert copied == f"keras.optimizers.Adam(global_clipnorm={chosen(handle):g})"
    assert "treat this as a starting point" in dashboard.frame.get_by_test_id("caveat").inner_text()


def test_where_copying_is_not_allowed_the_code_is_selected(dashboard: Dashboard, board: str) -> None:
    dashboard.page.add_init_script("Object.defineProperty(navigator, 'clipboard', {value: undefined})")
    dashboard.page.add_init_script("document.execCommand = () => false")
    open_run(dashboard, board)
    button = dashboard.frame.get_by_test_id("copy-code")
    button.click()
    dashboard.settle(200)
    selected = dashboard.frame.evaluate("() => document.getSelection().toString().trim()")
    assert selected == dashboard.frame.get_by_test_id("code").inner_text().strip()
    assert button.inner_text() == "press Ctrl+C"


def test_a_link_brings_the_threshold_back(dashboard: Dashboard, board: str) -> None:
    handle = open_run(dashboard, board)
    drag(dashboard, handle, 30)
    threshold, link = chosen(handle), dashboard.page.evaluate("() => location.href")
    assert f"p.gradclip.threshold={threshold:g}" in link
    dashboard.page.goto("about:blank")
    dashboard.page.goto(link)
    dashboard.page.wait_for_selector("iframe[src*=gradclip]")
    handle = dashboard.page.frame_locator("iframe[src*=gradclip]").get_by_test_id("threshold-handle")
    handle.wait_for()
    assert chosen(handle) == threshold


def test_a_link_brings_back_what_was_chosen_in_every_panel(dashboard: Dashboard, board: str) -> None:
    open_run(dashboard, board)
    dashboard.frame.get_by_test_id("zclip").click()
    dashboard.frame.get_by_text("Keras", exact=True).click()
    dashboard.frame.get_by_test_id("parameter-search").fill("weight")
    dashboard.frame.get_by_test_id("sort-norm").click()
    dashboard.frame.get_by_test_id("alert-kind").select_option("spike")
    dashboard.frame.get_by_text("worst", exact=True).click()
    dashboard.settle(600)

    def chosen() -> list[str | None]:
        frame = dashboard.frame
        sorted_by = frame.get_by_test_id("parameters").locator("th[aria-sort]")
        return [
            frame.get_by_test_id("zclip").get_attribute("aria-pressed"),
            frame.get_by_test_id("code").inner_text(),
            frame.get_by_test_id("parameter-search").input_value(),
            *(part for th in sorted_by.all() for part in (th.inner_text(), th.get_attribute("aria-sort"))),
            frame.get_by_test_id("alert-kind").input_value(),
            str(frame.locator("input[name=alert-order]").nth(1).is_checked()),
        ]

    before, link = chosen(), dashboard.page.url
    assert before[0] == "true"
    assert "keras" in (before[1] or "")
    assert before[-2:] == ["spike", "True"]
    dashboard.leave()
    dashboard.page.goto(link)
    dashboard.frame.get_by_test_id("parameter-row").first.wait_for()
    dashboard.frame.get_by_test_id("code").wait_for()
    assert chosen() == before


def test_the_answer_is_about_the_steps_in_view(dashboard: Dashboard, board: str) -> None:
    open_run(dashboard, board)
    steps = dashboard.frame.get_by_test_id("what-if-steps")
    assert steps.inner_text() == "steps 0 to 4,999"
    box = dashboard.chart("chart-loss").bounding_box()
    assert box is not None
    y = box["y"] + box["height"] / 2
    dashboard.page.mouse.move(box["x"] + box["width"] * 0.5, y)
    dashboard.page.mouse.down()
    dashboard.page.mouse.move(box["x"] + box["width"] * 0.6, y, steps=4)
    dashboard.page.mouse.up()
    dashboard.settle(1000)
    first, last = (int(step.replace(",", "")) for step in re.findall(r"[\d,]+", steps.inner_text()))
    assert 2000 < first < last < 3200
    answer = json.loads(fetch(board, f"what_if?run=clipped&from={first}&to={last}"))
    ten = next(one for one in answer["suggestions"] if one["share"] == 0.1)
    shown = dashboard.frame.locator("[data-testid=suggestion][data-key='share-0.1'] b").inner_text()
    assert float(shown) == pytest.approx(ten["threshold"], rel=0.006)


def test_zclip_is_drawn_over_the_norms_when_asked_for(dashboard: Dashboard, board: str) -> None:
    open_run(dashboard, board)
    chart, toggle = dashboard.chart("chart-norm"), dashboard.frame.get_by_test_id("zclip")
    ink = (31, 36, 48)
    before = chart.evaluate(INK_OF, ink)
    toggle.click()
    dashboard.settle(400)
    assert chart.evaluate(INK_OF, ink) > before + 300
    assert "would have clipped" in dashboard.frame.get_by_test_id("zclip-words").inner_text()
    toggle.click()
    dashboard.settle(400)
    assert chart.evaluate(INK_OF, ink) == before


def test_a_run_that_clips_in_another_way_is_told_what_the_axis_is_about(dashboard: Dashboard, board: str) -> None:
    open_run(dashboard, board, "by_value")
    panel = dashboard.frame.get_by_role("region", name="Threshold what-if")
    assert "This run clips values." in panel.inner_text()
    assert "now" not in (dashboard.chart("chart-what-if").text_content() or "")


@pytest.mark.parametrize(
    ("norm", "said"),
    [(np.nan, "No step of this run has a finite gradient norm"), (0.0, "Every gradient here is zero")],
)
def test_a_run_without_norms_says_so(dashboard: Dashboard, tmp_path: Path, norm: float, said: str) -> None:
    write_run(tmp_path / "logs" / "clipped", 200, Rule("global_norm", 1.0))
    book = recorder(tmp_path / "logs" / "without")
    batch = measured(0, [2.0] * 100)
    batch.norm_before[:], batch.norms_before[:] = norm, norm
    book.add_steps(batch)
    book.close()
    with tensorboard(tmp_path / "logs") as address:
        dashboard.open(address, runs=2)
        dashboard.frame.get_by_test_id("what-if-run").select_option("without")
        dashboard.settle(600)
        assert said in dashboard.frame.get_by_test_id("what-if-empty").inner_text()
        assert dashboard.frame.get_by_test_id("suggestion").count() == 0
        dashboard.frame.get_by_test_id("what-if-run").select_option("clipped")
        dashboard.settle(600)
        assert dashboard.frame.get_by_test_id("what-if-empty").count() == 0
        dashboard.page.goto("about:blank")  # so that it asks nothing of a TensorBoard that is gone


def test_one_step_is_shown(dashboard: Dashboard, tmp_path: Path) -> None:
    write_run(tmp_path / "logs" / "short", 1, Rule("global_norm", 1.0))
    with tensorboard(tmp_path / "logs") as address:
        dashboard.open(address, runs=1)
        dashboard.frame.get_by_test_id("threshold-handle").wait_for()
        assert dashboard.frame.get_by_test_id("what-if-steps").inner_text() == "steps 0 to 0"
        assert dashboard.frame.get_by_test_id("suggestion").count() >= 1
        dashboard.page.goto("about:blank")


def test_every_panel_explains_itself(dashboard: Dashboard, board: str) -> None:
    dashboard.open(board)
    panels = (
        *("health", "loss", "norm", "clip-rate", "throttle", "distribution", "over-time"),
        *("what-if", "suggestions", "parameters", "alerts"),
    )
    for panel in panels:
        button, text = (dashboard.frame.get_by_test_id(f"help-{panel}{end}") for end in ("", "-text"))
        assert not text.is_visible()
        button.focus()
        dashboard.page.keyboard.press("Enter")
        text.wait_for()
        for heading in ("How to read it", "When it looks bad", "How it is computed"):
            assert heading in text.inner_text()
        box = text.bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 1440
        dashboard.page.keyboard.press("Escape")
        text.wait_for(state="hidden")
        assert button.evaluate("button => button === document.activeElement")
        button.click()
        text.wait_for()
        dashboard.frame.get_by_test_id("completeness").click()  # a press elsewhere closes it
        text.wait_for(state="hidden")
