"""What each rule does to norms, against the arithmetic done on the gradients themselves."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from tb_gradclip.core.rules import TORCH_EPSILON, Rule, outcome, scale

Gradients = NDArray[np.float64]
gradients = hnp.arrays(np.float64, (3, 5), elements=st.floats(-1e3, 1e3).filter(lambda x: x == 0 or abs(x) > 1e-3))
thresholds = st.floats(1e-2, 1e3)


def norms(gradient: Gradients) -> NDArray[np.float64]:
    return np.asarray(np.linalg.norm(gradient, axis=1))[None]


def total(gradient: Gradients) -> NDArray[np.float64]:
    return np.array([np.linalg.norm(gradient)])


@given(gradients, thresholds)
def test_global_norm_scales_every_gradient_by_the_factor_it_reports(gradient: Gradients, threshold: float) -> None:
    rule = Rule("global_norm", threshold, epsilon=TORCH_EPSILON)
    result = outcome(rule, np.array([threshold]), total(gradient), norms(gradient))
    clipped = gradient * min(1.0, threshold / (np.linalg.norm(gradient) + 1e-6))
    np.testing.assert_allclose(result.norm_after, total(clipped), rtol=1e-9)
    np.testing.assert_allclose(result.norms_after, norms(clipped), rtol=1e-9)
    assert result.clipped[0] == (np.linalg.norm(gradient) > threshold)


@given(gradients, thresholds)
def test_norm_scales_each_variable_by_its_own_factor(gradient: Gradients, threshold: float) -> None:
    own = np.linalg.norm(gradient, axis=1, keepdims=True)
    clipped = gradient * threshold / np.maximum(own, threshold)
    result = outcome(Rule("norm", threshold), np.array([threshold]), total(gradient), norms(gradient))
    np.testing.assert_allclose(result.norms_after, norms(clipped), rtol=1e-9)
    np.testing.assert_allclose(result.norm_after, total(clipped), rtol=1e-9)
    assert result.parameters_clipped[0].tolist() == (own[:, 0] > threshold).tolist()
    assert result.clipped[0] == (own > threshold).any()


@given(gradients, thresholds)
def test_value_takes_its_after_norms_as_measured(gradient: Gradients, threshold: float) -> None:
    clipped = np.clip(gradient, -threshold, threshold)
    changed = (np.abs(gradient) > threshold).any(axis=1)[None]
    rule = Rule.by_value(-threshold, threshold)
    result = outcome(rule, np.array([threshold]), total(gradient), norms(gradient), norms(clipped), changed)
    np.testing.assert_allclose(result.norm_after, total(clipped), rtol=1e-12)
    assert result.clipped[0] == changed.any()
    before = np.linalg.norm(gradient)
    np.testing.assert_allclose(result.coefficient, 1.0 if before == 0 else np.linalg.norm(clipped) / before, rtol=1e-12)


def test_an_element_cut_without_a_visible_change_of_the_norm_still_counts_as_clipped() -> None:
    before = np.array([[1.0]])
    changed = np.array([[True]])
    result = outcome(Rule.by_value(-1, 1), np.array([1.0]), np.array([1.0]), before, before.copy(), changed)
    assert result.clipped.tolist() == [True]


def test_no_rule_changes_nothing() -> None:
    before = np.array([[3.0, 4.0]])
    result = outcome(Rule("none"), np.array([np.nan]), np.array([5.0]), before)
    assert (result.norm_after[0], result.coefficient[0], result.clipped[0]) == (5.0, 1.0, False)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("rule", [Rule("global_norm", 1.0), Rule("norm", 1.0), Rule("none")])
def test_a_step_that_is_not_finite_is_never_clipped(rule: Rule, bad: float) -> None:
    result = outcome(rule, np.array([1.0]), np.array([bad]), np.array([[bad, 2.0]]))
    assert result.clipped.tolist() == [False]
    assert not result.parameters_clipped.any()


def test_the_epsilon_of_torch_alone_is_no_clipping() -> None:
    result = outcome(
        Rule("global_norm", 5.0, epsilon=TORCH_EPSILON), np.array([5.0]), np.array([5.0]), np.array([[5.0]])
    )
    assert result.clipped.tolist() == [False]
    assert result.coefficient[0] < 1


def test_scale_of_zero_is_one_of_infinity_zero_of_nan_nan() -> None:
    assert scale(np.array([0.0, np.inf]), 1.0).tolist() == [1.0, 0.0]
    assert np.isnan(scale(np.array([np.nan]), 1.0)[0])


def test_a_measured_rule_without_measurements_is_refused() -> None:
    with pytest.raises(ValueError, match="needs norms measured after clipping"):
        outcome(Rule("custom"), np.array([np.nan]), np.array([1.0]), np.array([[1.0]]))


def test_an_unknown_kind_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"`kind` must be one of none, value, .* got 'soft'"):
        Rule("soft")


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        (Rule.by_value(-0.05, 0.05), "value ± 0.05"),
        (Rule.by_value(0.0, 1.0), "value in [0, 1]"),
        (Rule("norm", 1.0), "norm of each ≤ 1"),
        (Rule("global_norm", 0.25), "global norm ≤ 0.25"),
        (Rule("global_norm", 0.25, norm_type=np.inf), "global norm ≤ 0.25 (p = inf)"),
        (Rule("none"), "none"),
    ],
)
def test_text_says_the_rule_in_a_few_characters(rule: Rule, text: str) -> None:
    assert rule.text == text


@pytest.mark.parametrize("rule", [Rule.by_value(-1.0, 2.0), Rule("global_norm", math.inf, epsilon=1e-6), Rule("none")])
def test_json_gives_the_rule_back(rule: Rule) -> None:
    assert repr(Rule.from_json({**rule.to_json(), "a_later_field": 1})) == repr(rule)


def test_a_factor_the_library_applied_is_taken_instead_of_the_formula() -> None:
    rule, before = Rule("global_norm", 1.0), np.array([[3.0, 4.0], [3.0, 4.0]])
    changed, factors = np.array([[True, True], [False, False]]), np.array([0.25, 1.0])
    result = outcome(rule, np.array([1.0, 1.0]), np.array([5.0, 5.0]), before, None, changed, factors)
    assert result.coefficient.tolist() == [0.25, 1.0]
    assert result.norm_after.tolist() == [1.25, 5.0]
    assert result.norms_after.tolist() == [[0.75, 1.0], [3.0, 4.0]]
    assert result.clipped.tolist() == [True, False]


def test_a_parameter_without_a_gradient_is_not_clipped_with_the_others() -> None:
    result = outcome(Rule("global_norm", 1.0), np.array([1.0]), np.array([5.0]), np.array([[5.0, 0.0]]))
    assert result.parameters_clipped.tolist() == [[True, False]]


@given(gradients, st.floats(0, 3))
def test_the_norm_that_counts_is_changed_by_a_factor_of_zero_alone(gradient: Gradients, threshold: float) -> None:
    each = gradient.any(axis=1).astype(float)[None]
    rule = Rule("global_norm", threshold, norm_type=0.0)
    result = outcome(rule, np.array([threshold]), each.sum(axis=1), each)
    left = gradient * result.coefficient[0]
    assert result.norm_after[0] == left.any(axis=1).sum()
    assert result.norms_after[0].tolist() == left.any(axis=1).tolist()


def test_rules_are_equal_if_all_they_say_is_though_nan_is_not() -> None:
    none = Rule("none")
    assert none == Rule.from_json(none.to_json()) == Rule("none", threshold=float("nan"))
    assert hash(none) == hash(Rule.from_json(none.to_json()))
    assert Rule("norm", 1.0) != Rule("norm", 2.0)
    assert Rule("norm", 1.0) != Rule("global_norm", 1.0)
    assert len({Rule("norm", float("nan")), Rule("norm", float("nan")), none}) == 2
