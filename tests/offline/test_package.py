"""A package, and the one that the tests of the page open."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import struct
from pathlib import Path

import numpy as np

from tb_gradclip.core import framing
from tb_gradclip.core.rules import Rule
from tb_gradclip.offline import budget, package
from tb_gradclip.offline.package import Answer
from tb_gradclip.offline.questions import Questions
from tb_gradclip.storage.events import event_files
from tests.logs import write_run

FIXTURE = Path(__file__).parent.parent / "fixtures" / "report.json"


def answers_of(logdir: Path) -> list[Answer]:
    write_run(logdir / "clipped", 300, Rule("global_norm", 1.0))
    write_run(logdir / "broken", 300, Rule("none"), breaks_at=200)
    files = event_files(logdir)
    held = budget.held(((name, Questions(name, own)) for name, own in files.items()), len(files), 90_000)
    odd = np.array([0x7FF0000000000001, 0xFFF8000000000000, 0x8000000000000000, 1, 2**64 - 1], "<u8").tobytes()
    return [*held.answers, Answer("odd", None, b"12345678" + odd, start=8, word=8)]


def test_the_fixture_of_the_front_end_is_what_is_packed(tmp_path: Path) -> None:
    """A change of it shows up in a diff: look at it and commit it."""
    answers = answers_of(tmp_path)
    packed = package.pack(answers)
    bodies = [hashlib.sha256(answer.body).hexdigest() for answer in answers]
    old = json.loads(FIXTURE.read_text()) if FIXTURE.exists() else {"packed": "", "bodies": []}
    same = old["bodies"] == bodies and gzip.decompress(base64.b64decode(old["packed"])) == gzip.decompress(packed)
    if not same:
        FIXTURE.write_text(json.dumps({"packed": base64.b64encode(packed).decode(), "bodies": bodies}, indent=1) + "\n")
    assert same, f"what a report holds changed; look at the new {FIXTURE} and commit it"


def test_a_package_lists_its_answers_and_has_their_bodies_in_this_order(tmp_path: Path) -> None:
    answers = answers_of(tmp_path)
    header, bodies = framing.unpack(gzip.decompress(package.pack(answers)))
    offset = 0
    for entry, answer in zip(header["answers"], answers, strict=True):
        asked = (answer.route, answer.run, answer.step, answer.parameter)
        assert (entry["route"], entry["run"], entry["step"], entry["parameter"]) == asked
        body = bodies[offset : offset + entry["size"]]
        assert body[: entry["start"]] == answer.body[: entry["start"]]
        assert sorted(body) == sorted(answer.body)
        offset += entry["size"]
    assert offset == len(bodies)


def test_steps_and_kinds_of_numbers_are_kept(tmp_path: Path) -> None:
    write_run(tmp_path / "broken", 300, Rule("none"), breaks_at=200)
    questions = Questions("broken", event_files(tmp_path)["broken"])
    body = questions.ask("series", run="broken", column=["loss", "norm_before"], points=1000) or b""
    kept = package.of_series("broken", body)
    (length,) = struct.unpack_from("<I", body)
    exact, near = (np.frombuffer(each, "<f8", offset=4 + length).reshape(2, 3, 300) for each in (body, kept.body))
    assert (near[:, 0] == exact[:, 0]).all()
    assert np.abs(near[:, 1] - exact[:, 1]).max() < 150 / 65536
    assert np.allclose(near[:, 2], exact[:, 2], rtol=1e-5, equal_nan=True)
    assert (np.isnan(near) == np.isnan(exact)).all()
    assert np.isinf(near).sum() == np.isinf(exact).sum() > 0


def test_windows_and_flights_keep_their_counts(tmp_path: Path) -> None:
    write_run(tmp_path / "broken", 300, Rule("none"), breaks_at=200)
    questions = Questions("broken", event_files(tmp_path)["broken"])
    body = questions.ask("parameters", run="broken") or b""
    kept = package.of_windows("broken", body).body
    assert len(kept) == len(body)
    (length,) = struct.unpack_from("<I", body)
    header = json.loads(body[4 : 4 + length])
    windows, cells = header["windows"], header["windows"] * len(header["parameters"])
    for start, end in ((0, 4 + length + 24 * windows), (4 + length + 32 * windows + 12 * cells, len(body))):
        assert kept[start:end] == body[start:end]
    flight = questions.ask("flight", run="broken", step=200) or b""
    near = package.of_flight("broken", 200, flight)
    assert (near.step, len(near.body)) == (200, len(flight))
