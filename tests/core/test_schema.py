"""Records survive the way to disk and back."""

import tracemalloc
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tb_gradclip.core import framing, histogram_record, schema
from tb_gradclip.core.alert import Alert, decode_alerts, encode_alerts
from tb_gradclip.core.charts.outline import Outliner
from tb_gradclip.core.histogram import GradientHistogram, count
from tb_gradclip.core.imported import Imported
from tb_gradclip.core.parameter import Parameter
from tb_gradclip.core.rows import STEP_DTYPE
from tb_gradclip.core.rules import Rule
from tb_gradclip.core.schema import RunRecord, StepsRecord, Tag, Window
from tests.core.tables import table

names = st.text(min_size=1, max_size=20)


@given(st.dictionaries(names, st.integers()), st.binary())
def test_a_frame_gives_back_header_and_body(header: dict[str, int], body: bytes) -> None:
    for align in (1, 8):
        frame = framing.pack(header, body, align)
        assert framing.unpack(frame) == (header, body)
        assert (len(frame) - len(body)) % align == 0


@pytest.mark.parametrize("broken", [b"", b"\x01", b"\xff\xff\xff\x7f{}"])
def test_bytes_that_are_no_frame_are_refused(broken: bytes) -> None:
    with pytest.raises(ValueError, match="a record must be a frame"):
        framing.unpack(broken)


def test_steps_come_back() -> None:
    rows = np.zeros(3, STEP_DTYPE)
    rows["step"], rows["loss"] = [2**40, 2**40 + 1, 2**40 + 2], [1.0, np.nan, np.inf]
    back = schema.decode_steps(schema.encode_steps(StepsRecord(rows, 7, own_seconds=0.25, elapsed_seconds=5.0)))
    assert (back.first_row, back.own_seconds, back.elapsed_seconds) == (7, 0.25, 5.0)
    assert back.rows.tobytes() == rows.tobytes()


def test_no_steps_come_back_as_none() -> None:
    assert len(schema.decode_steps(schema.encode_steps(StepsRecord(np.zeros(0, STEP_DTYPE), 0))).rows) == 0


@given(arrays(np.uint8, st.tuples(st.integers(1, 5), st.just(STEP_DTYPE.itemsize))))
def test_steps_come_back_to_the_last_bit_whatever_they_hold(noise: np.ndarray) -> None:
    rows = noise.view(STEP_DTYPE).reshape(-1)
    rows["step"], rows["wall_time"] = np.arange(len(rows)), 1.0  # these, and flags, cannot hold whatever they like
    for name in ("clipped", "skipped"):
        rows[name].view(np.uint8)[...] &= 1
    assert schema.decode_steps(schema.encode_steps(StepsRecord(rows, 0))).rows.tobytes() == rows.tobytes()


@given(arrays(np.float64, (2, 5), elements=st.sampled_from([0.0, -0.0, 0.5, 1.0, 2.0, 5e-324, 1e308, np.inf, np.nan])))
def test_what_is_easily_guessed_wrong_comes_back_too(numbers: np.ndarray) -> None:
    rows = np.zeros(2, STEP_DTYPE)
    rows["step"] = [0, 1]
    for name, column in zip(("loss", "threshold", "norm_before", "norm_after", "coefficient"), numbers.T, strict=True):
        rows[name] = column
    assert schema.decode_steps(schema.encode_steps(StepsRecord(rows, 0))).rows.tobytes() == rows.tobytes()


@pytest.mark.parametrize("said", [2, 4, 2**16])
def test_a_body_of_another_length_than_its_header_says_is_refused(said: int) -> None:
    _, body = framing.unpack(schema.encode_steps(StepsRecord(np.zeros(3, STEP_DTYPE), 0)))
    with pytest.raises(ValueError, match=f"a record of {said} steps must hold {said * STEP_DTYPE.itemsize} bytes, got"):
        schema.decode_steps(framing.pack({"rows": [0, said]}, body))


def test_a_corrupt_body_does_not_expand_without_limit() -> None:
    bomb = framing.pack({"rows": [0, 1]}, zlib.compress(bytes(10**8)))
    tracemalloc.start()
    with pytest.raises(ValueError, match=f"must hold {(size := STEP_DTYPE.itemsize)} bytes, got {size + 1}"):
        schema.decode_steps(bomb)
    assert tracemalloc.get_traced_memory()[1] < 1e6
    tracemalloc.stop()


def test_a_step_takes_no_more_than_64_bytes_and_packed_far_less() -> None:
    assert STEP_DTYPE.itemsize <= 64
    rng = np.random.default_rng(0)
    rows = np.zeros(1024, STEP_DTYPE)
    rows["step"] = np.arange(1024)
    rows["wall_time"] = 1.8e9 + np.cumsum(rng.gamma(20, 5e-4, 1024))
    rows["loss"] = rng.gamma(20, 0.1, 1024).astype(np.float32)
    rows["norm_before"] = rng.gamma(2, 1, 1024).astype(np.float32)
    rows["coefficient"] = np.minimum(1, 1 / rows["norm_before"])
    rows["norm_after"] = rows["coefficient"] * rows["norm_before"]
    assert len(schema.encode_steps(StepsRecord(rows, 0))) < 20 * 1024


@given(names)
def test_a_run_comes_back(name: str) -> None:
    parameters = (Parameter(name, (2, 3), "float32", 0.5),)
    run = RunRecord("torch", "torch 2", parameters, Rule("global_norm", 0.25), 5, 4, "replica")
    assert repr(schema.decode_run(schema.encode_run(run))) == repr(run)


def test_an_outline_comes_back() -> None:
    outliner = Outliner()
    outliner.add(table(700), own_seconds=0.25, elapsed_seconds=5.0)
    outliner.add_histogram(3)
    outliner.finish()
    outliner.add(table(300), own_seconds=0.5, elapsed_seconds=4.0)
    outliner.add_histogram(750)
    outline = outliner.finish()
    back = schema.decode_outline(schema.encode_outline(outline))
    assert (back.first_row, back.totals, back.histogram_steps) == (700, outline.totals, (750,))
    assert (back.own_seconds, back.elapsed_seconds) == (0.5, 4.0)
    assert back.rows.tobytes() == outline.rows.tobytes()


def test_a_window_comes_back() -> None:
    rows = np.zeros(2, schema.WINDOW_DTYPE)
    rows["norm_before_mean"] = [1.5, np.nan]
    back = schema.decode_window(schema.encode_window(Window(4, 7, 4, rows)))
    assert (back.first_step, back.last_step, back.steps) == (4, 7, 4)
    assert back.rows.tobytes() == rows.tobytes()


def test_a_histogram_comes_back_whatever_its_blocks() -> None:
    counts = np.stack([count(np.random.default_rng(0).normal(size=500)), count(np.zeros(0))])
    for blocks in (
        {},
        {"cosine": 0.75},
        {"coefficients": np.array([0.5, np.nan])},
        {"counts_after": counts, "clipped": np.array([3, 0])},
    ):
        histogram = GradientHistogram(9, 1.5, Rule("custom"), ("a", "b"), counts, **blocks)
        back = histogram_record.decode(histogram_record.encode(histogram), ("a", "b"))
        np.testing.assert_array_equal(back.counts, counts)
        for name, block in blocks.items():
            np.testing.assert_array_equal(getattr(back, name), block)


def test_alerts_come_back_and_fields_of_a_later_version_are_ignored() -> None:
    alert = Alert(3, "spike", "warning", "loss jumped", None, 2.5)
    assert decode_alerts(encode_alerts([alert])) == [alert]
    later = framing.pack({"alerts": [{**vars(alert), "lead": 7}]})
    assert decode_alerts(later) == [alert]


@given(st.sampled_from(schema.KINDS), st.floats(0, 2e9), st.integers(0, 10**6))
def test_a_tag_is_read_back_from_its_text(kind: str, start: float, shard: int) -> None:
    tag = Tag(kind, schema.attempt_name(start), shard)
    assert Tag.parse(str(tag)) == tag


@pytest.mark.parametrize("other", ["gradclip/clip_rate", "loss", "gradclip/steps/x/y", "gradclip/movies/0/000001"])
def test_tags_of_others_are_not_taken_for_ours(other: str) -> None:
    assert Tag.parse(other) is None


@pytest.mark.parametrize(("content", "version"), [(b"", 0), (b"[]", 0), (b'{"schema": 3}', 3)])
def test_the_version_is_read_from_plugin_content(content: bytes, version: int) -> None:
    assert schema.content_version(content) == version


@pytest.mark.parametrize(
    "imported", [None, Imported("CSV", "log.csv", "last", "mean", before_clipping=True, times=False)]
)
def test_what_a_run_was_made_from_comes_back(imported: Imported | None) -> None:
    run = RunRecord("torch", "torch 2", (Parameter("w", (2, 3)),), Rule("none"), imported=imported)
    frame = schema.encode_run(run)
    assert schema.decode_run(frame) == run
    header, _ = framing.unpack(frame)
    assert ("imported" in header) == (imported is not None)  # an older reader finds nothing it does not know
    if imported is not None:
        newer = framing.pack({**header, "imported": {**header["imported"], "unknown": 1}})
        assert schema.decode_run(newer) == run


@pytest.mark.parametrize("broken", [[], "csv", 1, {}, {"format": "CSV"}, {"format": 1, "source": "a"}])
def test_what_says_nothing_of_an_import_is_refused(broken: object) -> None:
    header, _ = framing.unpack(schema.encode_run(RunRecord("torch", "torch 2", (), Rule("none"))))
    with pytest.raises(ValueError, match="`imported`"):
        schema.decode_run(framing.pack({**header, "imported": broken}))
