"""Which scalar is the loss."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tb_gradclip.core.loss_tag import EXACT, HELD_OUT, could_be_loss, ranked

WORDS = ("loss", "train", "val", "eval", "epoch", "Loss", "TOTAL", "box", "x", "scale", "gradclip", "accuracy", "test1")
tags = st.lists(
    st.one_of(
        st.text(max_size=12),
        st.builds(
            lambda words, sign: sign.join(words), st.lists(st.sampled_from(WORDS), max_size=4), st.sampled_from("/_ .-")
        ),
    ),
    max_size=12,
)


@given(tags)
def test_the_ranking_is_of_those_that_could_be_it_each_once(given: list[str]) -> None:
    found = ranked(given)
    assert sorted(found) == sorted({tag for tag in given if could_be_loss(tag)})


@given(tags, st.randoms(use_true_random=False))
def test_the_order_in_which_tags_are_listed_does_not_matter(given: list[str], shuffle: random.Random) -> None:
    other = given.copy()
    shuffle.shuffle(other)
    assert ranked(other) == ranked(given)


@given(tags, st.text(max_size=12))
def test_another_tag_moves_none_of_the_others(given: list[str], more: str) -> None:
    assert [tag for tag in ranked([*given, more]) if tag in given] == ranked(given)


@given(tags)
def test_only_tags_that_name_a_loss_are_taken_and_none_of_ours(given: list[str]) -> None:
    for tag in ranked(given):
        assert "loss" in tag.lower()
        assert not tag.startswith("gradclip/")


@given(tags, st.sampled_from(sorted(HELD_OUT)), st.sampled_from("/_-. "))
def test_held_out_data_comes_after_everything_else(given: list[str], word: str, sign: str) -> None:
    found = ranked([*given, f"{word}{sign}loss", "some loss or other"])
    assert found.index(f"{word}{sign}loss") > found.index("some loss or other")


@pytest.mark.parametrize("sign", ["/", "_", "-", " ", "."])
@pytest.mark.parametrize("words", EXACT, ids=" ".join)
def test_a_known_name_wins_in_any_spelling_over_one_that_only_ends_so(words: tuple[str, ...], sign: str) -> None:
    for tag in (sign.join(words), sign.join(words).upper(), sign.join(word.title() for word in words)):
        assert ranked(["a/loss", "b loss", tag, "val/loss"])[0] == tag


TRAINERS = {
    "Hugging Face": (["eval/loss", "eval/runtime", "train/epoch", "train/loss", "train/train_loss"], "train/loss"),
    "Lightning": (["epoch", "train_loss_epoch", "train_loss_step", "val_loss"], "train_loss_step"),
    "Keras": (["epoch_accuracy", "epoch_loss", "evaluation_loss_vs_iterations", "batch_loss"], "batch_loss"),
    "Keras, by the epoch": (["epoch_accuracy", "epoch_loss", "epoch_learning_rate"], "epoch_loss"),
    "PyTorch's example": (["Accuracy/train", "Loss/test", "Loss/train"], "Loss/train"),
    "Ultralytics": (["train/box_loss", "train/cls_loss", "train/dfl_loss", "val/box_loss"], "train/box_loss"),
    "Stable-Baselines3": (["train/entropy_loss", "train/loss", "train/value_loss"], "train/loss"),
    "Megatron": (["lm loss validation", "lm loss", "loss-scale", "grad-norm"], "lm loss"),
    "mixed precision": (["loss_scale", "train/my_loss"], "train/my_loss"),
    "a detector": (["loss_box_reg", "loss_cls", "total_loss"], "total_loss"),
    "GAN": (["lossD", "lossG"], "lossD"),
    "evaluation only": (["valLoss", "val/accuracy"], "valLoss"),
    "ours": (["gradclip/loss", "gradclip/norm_before", "interval_loss"], "interval_loss"),
}


@pytest.mark.parametrize(("given", "best"), TRAINERS.values(), ids=TRAINERS)
def test_what_trainers_log(given: list[str], best: str) -> None:
    assert ranked(given)[0] == best


@pytest.mark.parametrize("tag", ["accuracy", "loss_scale", "amp/lossScale", "loss/weight", "gradclip/loss", ""])
def test_what_is_no_loss(tag: str) -> None:
    assert ranked([tag]) == []


def test_of_equals_the_shortest_then_the_first_by_alphabet() -> None:
    assert ranked(["b_loss", "aaa_loss", "a_loss", "a_losses", "A_loss"]) == [
        *("A_loss", "a_loss", "b_loss", "aaa_loss"),
        "a_losses",
    ]
