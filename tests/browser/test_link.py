"""The link of a page that is open: pasted, gone back to, kept while other tabs are looked at."""

from __future__ import annotations

from tests.browser.conftest import Dashboard

# At once: the link has not got the choice yet when it changes.
CHOOSE_AND_GO = """input => {
  input.value = "0.75";
  input.dispatchEvent(new Event("input", { bubbles: true }));
  parent.location.hash = parent.location.hash.replace("gradclip", "timeseries");
}"""


def smoothing(dashboard: Dashboard) -> str:
    return dashboard.frame.locator("#smoothing").input_value()


def paste(dashboard: Dashboard, address: str, link: str) -> None:
    """Put a link in the address bar of the open page, which loads nothing."""
    frame = dashboard.frame
    dashboard.page.goto(f"{address}#{link}")
    assert dashboard.frame is frame


def test_a_link_pasted_into_an_open_page_is_shown_and_going_back_leaves_it(dashboard: Dashboard, board: str) -> None:
    dashboard.open(board, link="&p.gradclip.smoothing=0.25")
    assert smoothing(dashboard) == "0.25"
    paste(dashboard, board, "gradclip&p.gradclip.smoothing=0.5&p.gradclip.zoom=1000_1200&p.gradclip.runs=clipped")
    dashboard.until(lambda: smoothing(dashboard) == "0.5")
    dashboard.until(lambda: dashboard.frame.locator("[data-testid=run] input:checked").count() == 1)
    dashboard.hover("chart-loss", 0.5)
    assert 1000 < dashboard.cursor("chart-loss") < 1200
    dashboard.page.go_back()
    dashboard.until(lambda: smoothing(dashboard) == "0.25")
    assert dashboard.frame.locator("[data-testid=run] input:checked").count() == 3


def test_a_link_without_settings_changes_none_and_gets_those_that_there_are(dashboard: Dashboard, board: str) -> None:
    dashboard.open(board, link="&p.gradclip.smoothing=0.25")
    paste(dashboard, board, "gradclip")
    dashboard.until(lambda: dashboard.page.url.endswith("#gradclip&p.gradclip.smoothing=0.25"))
    assert smoothing(dashboard) == "0.25"


def test_a_choice_made_just_before_another_tab_is_looked_at_is_kept(dashboard: Dashboard, board: str) -> None:
    dashboard.open(board, link="&p.gradclip.smoothing=0.25")
    dashboard.frame.locator("#smoothing").evaluate(CHOOSE_AND_GO)
    dashboard.until(lambda: dashboard.page.url.endswith("#timeseries&p.gradclip.smoothing=0.75"))
    dashboard.page.evaluate("location.hash = location.hash.replace('timeseries', 'gradclip')")
    dashboard.chart("chart-loss").wait_for()
    dashboard.settle(500)
    assert smoothing(dashboard) == "0.75"
    assert dashboard.page.url.endswith("#gradclip&p.gradclip.smoothing=0.75")


# The browser shows a link that was gone back to before it tells of it; what was just chosen is yet to be written.
CHOOSE_AND_GO_BACK = """
link => {
  const slider = document.querySelector("input[type=range]");
  slider.value = "0.75";
  slider.dispatchEvent(new Event("input", {bubbles: true}));
  window.parent.history.replaceState(window.parent.history.state, "", link);
}
"""


def test_a_setting_that_is_yet_to_be_written_does_not_replace_a_link_that_was_gone_back_to(
    dashboard: Dashboard, board: str
) -> None:
    dashboard.open(board)
    dashboard.frame.evaluate(CHOOSE_AND_GO_BACK, "#gradclip&p.gradclip.smoothing=0.25")
    dashboard.settle(1000)
    assert smoothing(dashboard) == "0.25"
    assert "smoothing=0.25" in dashboard.page.url
