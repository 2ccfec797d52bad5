"""Each finding on steps that deserve it, and silence on those that do not."""

from __future__ import annotations

import math
import string
from collections.abc import Iterable
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tb_gradclip.core.alert import Alert
from tb_gradclip.core.histogram import count
from tb_gradclip.core.lint import FINDINGS, STEPS_TO_JUDGE, ZERO_CALLS, LintMonitor
from tb_gradclip.core.rows import Measurements, step_rows
from tb_gradclip.core.rules import Rule
from tests.benchmarks.synthetic import Training

NAMES = ("embedding", "rnn", "head")
LONG = STEPS_TO_JUDGE + 200
GLOBAL, EACH, VALUE, NONE = Rule("global_norm", 1.0), Rule("norm", 1.0), Rule.by_value(-1.0, 1.0), Rule("none")
Norms = list[float] | np.ndarray


def steps(rule: Rule, norms: Norms, first: int = 0, joint: float | None = None) -> Measurements:
    """Steps with these norms, one for each step that every parameter has, or one for each parameter too."""
    each = np.asarray(norms, np.float64)
    each = each if each.ndim == 2 else np.repeat(each[:, None], 3, axis=1)
    total = np.linalg.norm(each, axis=1) if joint is None else np.full(len(each), joint)
    after, changed = None, None
    if rule.measures_after:
        changed = each > rule.high
        after = np.minimum(each, rule.high)
    place = np.arange(first, first + len(each))
    return Measurements(rule, place, place / 2, None, np.full(len(each), rule.threshold), total, each, after, changed)


def findings(*parts: Measurements, counts: dict[int, np.ndarray] | None = None, size: int = 128) -> list[Alert]:
    """What a monitor says of these steps, in batches of so many, in order of step."""
    monitor, found = LintMonitor(NAMES), []
    for part in parts:
        for piece in cut(part, range(size, len(part.steps), size)):
            found += monitor.observe(piece, step_rows(piece)[1], counts)
    return sorted(found, key=lambda alert: (alert.step, alert.finding))


def cut(part: Measurements, edges: Iterable[int]) -> list[Measurements]:
    """The same steps in several batches."""
    bounds = [0, *edges, len(part.steps)]
    arrays = ("steps", "wall_times", "thresholds", "norm_before", "norms_before", "norms_after", "changed", "skipped")
    there = {name: array for name in arrays if (array := getattr(part, name)) is not None}
    return [replace(part, **{name: array[a:b] for name, array in there.items()}) for a, b in pairwise(bounds)]


def said(alerts: list[Alert]) -> list[tuple[str | None, int]]:
    return [(alert.finding, alert.step) for alert in alerts]


def mixed(length: int, low: float = 0.1, high: float = 10.0) -> np.ndarray:
    """Norms of which every other one is high."""
    return np.where(np.arange(length) % 2, high, low)


@pytest.mark.parametrize("rule", [GLOBAL, EACH, VALUE, NONE, Rule("custom")], ids=lambda rule: rule.kind)
def test_a_run_that_is_clipped_now_and_then_is_told_nothing(rule: Rule) -> None:
    part = steps(rule, mixed(5000)) if rule.kind != "custom" else replace(steps(VALUE, mixed(5000)), rule=rule)
    assert findings(part) == []


def test_a_long_noisy_run_is_told_nothing() -> None:
    training = Training(20)
    monitor = LintMonitor(tuple(parameter.name for parameter in training.parameters))
    assert [monitor.observe(part, step_rows(part)[1]) for part in training.batches(20_000)] == [[]] * 157


@pytest.mark.parametrize("rule", [GLOBAL, EACH, VALUE], ids=lambda rule: rule.kind)
def test_a_threshold_that_was_not_reached_in_a_thousand_steps_is_reported_at_the_last_of_them(rule: Rule) -> None:
    (alert,) = findings(steps(rule, [0.1] * LONG, first=50))
    assert (alert.finding, alert.step, alert.wall_time) == ("never_clipped", 1049, 1049 / 2)
    assert (alert.kind, alert.severity, alert.parameter) == ("lint", "warning", None)
    assert alert.message == f"the threshold ({rule.text}) was not reached in 1000 steps"
    assert alert.remedy is not None
    assert str(alert) == f"step 1049: lint: {alert.message}. {alert.remedy}"


@pytest.mark.parametrize("rule", [GLOBAL, EACH, VALUE], ids=lambda rule: rule.kind)
def test_a_threshold_that_was_exceeded_in_each_of_a_thousand_steps_is_for_information(rule: Rule) -> None:
    (alert,) = findings(steps(rule, [10.0] * LONG))
    assert (alert.finding, alert.step, alert.severity) == ("always_clipped", 999, "info")


@pytest.mark.parametrize("rule", [EACH, VALUE], ids=lambda rule: rule.kind)
def test_clipping_one_parameter_in_every_step_is_not_always_clipping(rule: Rule) -> None:
    assert findings(steps(rule, np.tile([10.0, 0.1, 10.0], (LONG, 1)))) == []
    assert said(findings(steps(rule, np.tile([10.0, 0.0, 10.0], (LONG, 1))))) == [("always_clipped", 999)]


@pytest.mark.parametrize("at", [0, 500, 999])
def test_one_clipped_step_in_a_thousand_is_enough(at: int) -> None:
    norms = [0.1] * LONG
    norms[at] = 10.0
    assert findings(steps(GLOBAL, norms)) == []
    assert findings(steps(GLOBAL, [10.0 if norm < 1 else 0.1 for norm in norms])) == []


def test_steps_with_a_norm_of_zero_or_none_do_not_count() -> None:
    norms = [0.1] * LONG
    norms[10], norms[20], norms[30] = 0.0, math.nan, math.inf
    assert said(findings(steps(GLOBAL, norms))) == [("never_clipped", 1002)]


def test_a_new_threshold_is_judged_anew() -> None:
    part = steps(GLOBAL, [0.1] * 1800)
    part.thresholds[900:] = 2.0
    assert findings(part) == []
    longer = steps(GLOBAL, [0.1] * 1900)
    longer.thresholds[900:] = 2.0
    (alert,) = findings(longer)
    assert (alert.step, alert.message) == (1899, "the threshold (global norm ≤ 2) was not reached in 1000 steps")


def test_a_threshold_that_moves_with_every_step_is_never_judged() -> None:
    part = steps(GLOBAL, [0.1] * 5000)
    part.thresholds[:] = np.linspace(1, 2, 5000)
    assert findings(part) == []


def test_steps_without_a_clip_call_do_not_interrupt_the_count() -> None:
    found = findings(steps(GLOBAL, [0.1] * 900), steps(NONE, [0.1], first=900), steps(GLOBAL, [0.1] * 200, first=901))
    assert said(found) == [("step_without_clip", 900), ("never_clipped", 1000)]


def test_bounds_that_are_not_symmetric_are_judged_too() -> None:
    assert said(findings(steps(Rule.by_value(-2.0, 1.0), [0.1] * LONG))) == [("never_clipped", 999)]


@pytest.mark.parametrize(
    ("threshold", "finding", "severity"),
    [
        (0.0, "threshold_zero", "warning"),
        (-2.0, "threshold_negative", "warning"),
        (math.inf, "threshold_infinite", "info"),
    ],
)
@pytest.mark.parametrize("rule", [GLOBAL, EACH, VALUE], ids=lambda rule: rule.kind)
def test_a_threshold_that_cannot_be_meant_is_reported_at_once_and_not_judged_besides(
    rule: Rule, threshold: float, finding: str, severity: str
) -> None:
    part = steps(rule, [0.1] * LONG)
    part.thresholds[3:] = threshold
    (alert,) = findings(part)
    assert (alert.finding, alert.step, alert.severity) == (finding, 3, severity)


def test_the_smallest_and_the_largest_thresholds_can_be_meant() -> None:
    part = steps(GLOBAL, mixed(LONG))
    part.thresholds[::2], part.thresholds[1::2] = 5e-324, 1.7e308
    assert findings(part) == []


def test_a_step_without_a_clip_call_is_reported_once_where_earlier_ones_had_one() -> None:
    parts = [steps(rule, mixed(10), first) for first, rule in enumerate([GLOBAL, NONE, GLOBAL, NONE])]
    assert said(findings(*parts)) == [("step_without_clip", 1)]


def test_a_run_that_begins_to_clip_late_is_told_nothing() -> None:
    assert findings(steps(NONE, mixed(2000)), steps(GLOBAL, mixed(2000))) == []


def test_nothing_but_zeros_at_ten_clip_calls_in_a_row_is_reported() -> None:
    (alert,) = findings(steps(GLOBAL, [1.0] * 7 + [0.0] * 20), size=4)
    assert (alert.finding, alert.step) == ("zero_gradients", 16)
    assert alert.message == f"all gradients were 0 at {ZERO_CALLS} clip calls in a row"


def test_a_batch_without_anything_to_learn_is_not_reported() -> None:
    assert findings(steps(GLOBAL, ([0.0] * 9 + [2.0, 0.5]) * 200)) == []
    assert findings(steps(NONE, [0.0] * 50)) == []


def test_zeros_are_not_reported_where_there_was_no_gradient_at_all() -> None:
    monitor = LintMonitor(NAMES)
    assert len(monitor.report("no_gradient", 0, 0.0)) == 1
    part = steps(GLOBAL, [0.0] * 50)
    assert monitor.observe(part, step_rows(part)[1]) == []


@pytest.mark.parametrize(
    ("rule", "result"), [(GLOBAL, "0"), (replace(GLOBAL, nan_at_limits=True), "NaN"), (Rule("global_norm", 9.0), "0")]
)
def test_finite_norms_whose_joint_norm_is_not_have_overflowed(rule: Rule, result: str) -> None:
    (alert,) = findings(steps(rule, mixed(10)), steps(rule, [1.5e19], first=10, joint=math.inf))
    assert (alert.finding, alert.step) == ("norm_overflow", 10)
    assert alert.message.endswith(f"overflowed, and clipping made them {result}")


def test_finite_norms_whose_joint_norm_is_not_are_no_concern_where_each_is_clipped_by_itself() -> None:
    assert findings(steps(EACH, [1.5e19], joint=math.inf)) == []
    assert findings(steps(NONE, [1.5e19], joint=math.inf)) == []


HUGE, INFINITE, ORDINARY = (count(np.array(x, np.float32)) for x in ([1e30, 1.0], [-math.inf, 1.0], [1.0, 2.0]))


@pytest.mark.parametrize("rule", [GLOBAL, EACH], ids=lambda rule: rule.kind)
def test_an_infinite_norm_of_finite_elements_has_overflowed_and_only_a_histogram_can_tell(rule: Rule) -> None:
    part = steps(rule, [[1.0, math.inf, 1.0]], first=5)
    overflowed, infinite = {5: np.stack([ORDINARY, HUGE, ORDINARY])}, {5: np.stack([ORDINARY, INFINITE, ORDINARY])}
    (alert,) = findings(part, counts=overflowed)
    assert alert.finding == "norm_overflow"
    assert alert.message.startswith("all gradients are" if rule.kind == "global_norm" else "elements of rnn are")
    assert findings(part, counts=infinite) == []
    assert findings(part, counts={4: overflowed[5]}) == []


def test_one_infinite_element_spoils_the_joint_norm_but_not_that_of_another_parameter() -> None:
    norms, counts = [[math.inf, math.inf, 1.0]], {0: np.stack([HUGE, INFINITE, ORDINARY])}
    assert findings(steps(GLOBAL, norms), counts=counts) == []
    (alert,) = findings(steps(EACH, norms), counts=counts)
    assert alert.message.startswith("elements of embedding are finite")


def test_a_norm_that_overflows_in_half_precision_shows_in_the_factor_of_the_library() -> None:
    part = replace(steps(GLOBAL, [7e4, 1.0, 0.0]), factors=np.array([0.0, 1.0, 0.0]), changed=np.ones((3, 3), bool))
    (alert,) = findings(part)
    assert (alert.finding, alert.step) == ("norm_overflow", 0)
    assert findings(replace(part, factors=np.array([1e-5, 1.0, 0.0]))) == []


def test_steps_that_a_loss_scaler_skipped_are_no_evidence_of_anything() -> None:
    skipped = np.full(2000, True)
    assert findings(replace(steps(GLOBAL, [1.5e19] * 2000, joint=math.inf), skipped=skipped)) == []
    assert findings(replace(steps(GLOBAL, [0.1] * 2000), skipped=skipped)) == []
    unclipped = replace(steps(NONE, [0.1] * 3, first=9), skipped=np.array([True, False, True]))
    assert said(findings(steps(GLOBAL, mixed(9)), unclipped)) == [("step_without_clip", 10)]


def test_what_an_adapter_noticed_comes_with_the_next_steps() -> None:
    monitor, part = LintMonitor(NAMES), steps(NONE, [1.0] * 3, first=8)
    for step in range(3):
        monitor.notice("counted_twice", step, names=["rnn"])
    (alert,) = monitor.observe(part, step_rows(part)[1])
    assert (alert.finding, alert.step, alert.wall_time) == ("counted_twice", 0, 4.0)
    monitor.notice("counted_twice", 4, names=["rnn"])
    assert monitor.observe(part, step_rows(part)[1]) == []


def test_each_finding_comes_once() -> None:
    wrong = steps(Rule("global_norm", 0.0), [1.0] * 3)
    assert len(findings(wrong, steps(GLOBAL, mixed(9)), wrong)) == 1


@pytest.mark.parametrize("name", FINDINGS)
def test_a_finding_says_in_a_sentence_what_came_and_in_one_what_to_do(name: str) -> None:
    severity, message, remedy = FINDINGS[name]
    assert severity in ("warning", "info")
    details = {field: 1.0 for _, field, _, _ in string.Formatter().parse(message) if field}
    (alert,) = LintMonitor(NAMES).report(name, 7, 3.5, **details)
    assert alert == Alert(7, "lint", severity, message.format(**details), None, 3.5, name, remedy)
    assert not alert.message.endswith(".")
    assert remedy.endswith(".")
    assert ". " not in remedy


def test_a_long_list_of_parameters_is_shortened() -> None:
    (alert,) = LintMonitor(NAMES).report("not_covered", 0, 0.0, names=list("abcdefg"))
    assert alert.message.endswith(": a, b, c and 4 more")
    (alert,) = LintMonitor(NAMES).report("not_covered", 0, 0.0, names=("a", "b", "c"))
    assert alert.message.endswith(": a, b, c")


STRETCH = st.tuples(
    st.sampled_from([GLOBAL, EACH, VALUE, NONE]),
    st.sampled_from([0.0, 0.5, 1.0, math.inf]),
    st.sampled_from([[0.1], [10.0], [0.0], [0.1, 10.0], [math.inf], [0.1] * 7 + [0.0, math.nan]]),
    st.integers(1, 2500),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(STRETCH, min_size=1, max_size=4), st.lists(st.integers(1, 6000), max_size=12), st.integers(1, 300))
def test_what_is_found_does_not_depend_on_how_steps_are_cut_into_batches(
    stretches: list[tuple[Rule, float, list[float], int]], edges: list[int], size: int
) -> None:
    parts, first = [], 0
    for rule, threshold, pattern, length in stretches:
        parts.append(steps(rule.at(threshold) if rule.kind != "none" else rule, np.resize(pattern, length), first))
        first += length
    whole = findings(*parts, size=100_000)
    pieces = [piece for part in parts for piece in cut(part, sorted(e for e in set(edges) if e < len(part.steps)))]
    assert findings(*parts, size=size) == whole
    assert findings(*pieces, size=100_000) == whole
