"""How much of each run fits into a file of a given size.

Strategy: a run's share of the bytes is what is left over the runs that are left, so what a short run does not need the
next ones get. Of its share each kind of answer has a part, and asks for less of itself until it keeps to it: fewer
points of lines, windows of parameters, steps of maps. The routes see to it that what is reduced keeps its extremes and
what is not finite. The least of each is given however little room there is.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from tb_gradclip.core import framing
from tb_gradclip.offline import package
from tb_gradclip.offline.package import Answer
from tb_gradclip.offline.questions import Questions

POINTS, WINDOWS, MAP_STEPS, CURVE, ALERTS = (4000, 200), (300, 8), (120, 8), (200, 40), (1000, 20)
"""Most and least of each: points of a line, windows of parameters, steps of a map, thresholds of a curve, alerts."""

PARTS = {"runs": 0.08, "what_if": 0.08, "series": 0.42, "histograms": 0.06, "histogram": 0.08, "flight": 0.06}
"""Of a run's share, what an answer may take of each kind. Parameters have what is left."""

COLUMNS = ("loss", "norm_before", "norm_after", "clip_rate", "throttle")
CURVE_BYTES = (2800, 16)
"""What an answer of `what_if` takes, deflated: without its curve, and for each threshold of that."""

LEAST_POINTS = 10
"""That a line may be asked for: enough of a threshold that never changes."""

MOST_HISTOGRAMS, MOST_FLIGHTS = 120, 64
"""Of a run; of flights, those that are asked for: a run keeps few."""


class Held(NamedTuple):
    """What a file holds: answers, names of the runs, most points of a line, most alerts of a run if some had more."""

    answers: list[Answer]
    names: list[str]
    points: int
    alerts: int | None


class _OfRun(NamedTuple):
    told: dict[str, Any]
    answers: list[Answer]
    alerts: int


def held(runs: Iterable[tuple[str, Questions]], count: int, room: float) -> Held:
    """Answers about so many runs, deflated in about so many bytes; one run is in memory at a time."""
    found: list[_OfRun] = []
    problems: list[dict[str, str]] = []
    schema = 0
    for place, (name, questions) in enumerate(runs):
        answer = json.loads(questions.ask("runs") or b"{}")
        problems += [*questions.damage, *answer.get("problems", [])]
        if not answer.get("runs"):
            continue  # neither data of ours nor a loss
        schema = answer["schema"]
        one = _of_run(name, answer["runs"][0], questions, room / (count - place))
        room -= sum(each.size for each in one.answers) + _size(one.told)
        found.append(one)
    listed = {"schema": schema, "runs": [one.told for one in found], "problems": problems}
    told = json.dumps(listed, separators=(",", ":"))
    answers = [Answer("runs", None, told.encode()), *(answer for one in found for answer in one.answers)]
    cut = [len(one.told["alerts"]) for one in found if len(one.told["alerts"]) < one.alerts]
    return Held(answers, [one.told["name"] for one in found], _most_points(answers), max(cut, default=None))


def _most_points(answers: Iterable[Answer]) -> int:
    headers = [framing.unpack(answer.body)[0] for answer in answers if answer.route == "series"]
    return max((one["rows"] for header in headers for one in header["series"]), default=0)


def _of_run(name: str, told: dict[str, Any], questions: Questions, share: float) -> _OfRun:
    """All that is held of a run, in about so many bytes."""
    parts = {kind: part * share for kind, part in PARTS.items()}
    alerts = told["alerts"]
    told = {**told, "alerts": _most_telling(alerts, parts["runs"])}
    columns = COLUMNS if told["recorded"] else COLUMNS[:1]
    answers = [fitted(lambda n: _lines(name, questions, columns, n), POINTS, parts["series"])]
    if told["recorded"]:
        answers += [
            _thresholds(name, questions, 0.1 * parts["series"]),
            _what_if(name, questions, parts["what_if"]),
            *_histograms(name, told, questions, parts["histogram"], parts["histograms"]),
            *_flights(name, told["alerts"], questions, parts["flight"]),
        ]
        left = share - _size(told) - sum(answer.size for answer in answers if answer)
        answers.append(fitted(lambda n: _windows(name, questions, n), WINDOWS, left))
    return _OfRun(told, [answer for answer in answers if answer], len(alerts))


def fitted(ask: Callable[[int], Answer | None], amounts: tuple[int, int], room: float) -> Answer | None:
    """The answer with as much as fits, between the most and the least; None where there is none."""
    most, least = amounts
    amount = most
    while (answer := ask(amount)) is not None and answer.size > room and amount > least:
        amount = max(least, min(int(amount * 0.95 * max(room, 0) / answer.size), amount - 1))
    return answer


def _size(told: Any) -> int:
    return len(zlib.compress(json.dumps(told, separators=(",", ":")).encode(), 6))


def _most_telling(alerts: list[dict[str, Any]], room: float) -> list[dict[str, Any]]:
    """Alerts in order of step: all, or as many as fit, findings, then errors, then warnings, and of each the first.

    What went wrong first is what the rest may have come from, and there are norms of single steps around it.
    """
    rank = {"error": 1, "warning": 2, "info": 3}
    ordered = sorted(alerts, key=lambda a: 0 if a["finding"] is not None else rank.get(a["severity"], 3))
    amount = len(alerts)
    while amount > ALERTS[1] and (size := _size(ordered[:amount])) > room:
        amount = max(ALERTS[1], min(int(amount * 0.95 * room / size), amount - 1))
    kept = {id(alert) for alert in ordered[:amount]}
    return [alert for alert in alerts if id(alert) in kept]


def _lines(name: str, questions: Questions, columns: Sequence[str], points: int) -> Answer | None:
    body = questions.ask("series", run=name, column=columns, points=points)
    return None if body is None else package.of_series(name, body)


def _thresholds(name: str, questions: Questions, room: float) -> Answer | None:
    """Thresholds of a run: as many as fit, or next to none where they are all the same."""
    few = _lines(name, questions, ["threshold"], LEAST_POINTS)
    values = package.values(few) if few else []
    if len(np.unique(values)) <= 1:  # NaN throughout is one, too
        return few
    return fitted(lambda n: _lines(name, questions, ["threshold"], n), POINTS, room)


def _what_if(name: str, questions: Questions, room: float) -> Answer | None:
    """A curve of as many thresholds as fit by rule of thumb: to ask again would take a second each time."""
    points = int(np.clip((room - CURVE_BYTES[0]) / CURVE_BYTES[1], CURVE[1], CURVE[0]))
    body = questions.ask("what_if", run=name, points=points)
    return None if body is None else package.of_json("what_if", name, body)


def _windows(name: str, questions: Questions, windows: int) -> Answer | None:
    body = questions.ask("parameters", run=name, windows=windows)
    return None if body is None else package.of_windows(name, body)


def _map(name: str, questions: Questions, steps: int) -> Answer | None:
    body = questions.ask("histograms", run=name, steps=steps)
    return None if body is None else package.of_map(name, body)


def _histograms(
    name: str, told: dict[str, Any], questions: Questions, room: float, map_room: float
) -> list[Answer | None]:
    """The map of a run and distributions of single steps."""
    if told["histogram_steps"] == 0:
        return []
    whole = fitted(lambda n: _map(name, questions, n), MAP_STEPS, map_room)
    single = _of_parameters(name, told, questions, room / 2)
    room -= sum(answer.size for answer in single)
    answers: list[Answer] = []
    for step in _spread_steps(questions.ask("histograms", run=name, steps=MAP_STEPS[0]), told["alerts"]):
        answer = _distribution(name, questions, step, None)
        if answer is None or any(answer.step == other.step for other in answers):
            continue
        if answers and answer.size > room:
            break
        answers.append(answer)
        room -= answer.size
    return [whole, *answers, *single]


def _of_parameters(name: str, told: dict[str, Any], questions: Questions, room: float) -> list[Answer]:
    """The distribution of each parameter at the last step that has any; none of them where not all fit."""
    answers: list[Answer] = []
    for parameter in told["parameters"]:
        answer = _distribution(name, questions, told["last_step"], parameter)
        room -= answer.size if answer else 0
        if answer is None or room < 0:
            return []
        answers.append(answer)
    return answers


def _distribution(name: str, questions: Questions, step: int, parameter: str | None) -> Answer | None:
    """The distribution at or before a step."""
    asked = {} if parameter is None else {"parameter": parameter}
    body = questions.ask("histogram", run=name, step=step, **asked)
    if body is None:
        return None
    answer = package.of_json("histogram", name, body, parameter=parameter)
    return replace(answer, step=json.loads(body)["step"])


def _spread_steps(body: bytes | None, alerts: list[dict[str, Any]]) -> list[int]:
    """Steps with a histogram: the last, the first, those of errors, and then ever closer ones between."""
    if body is None:
        return []
    header, numbers = framing.unpack(body)
    steps = np.frombuffer(numbers, "<f8", header["steps"]).astype(int).tolist()
    errors = [alert["step"] for alert in alerts if alert["severity"] == "error"][:8]
    places = [len(steps) - 1, 0]
    gap = len(steps)
    while gap > 1:
        gap = -(-gap // 2)
        places += range(0, len(steps), gap)
    ordered = [steps[place] for place in dict.fromkeys(places)]
    return list(dict.fromkeys([*ordered[:2], *errors, *ordered[2:]]))[:MOST_HISTOGRAMS]


def _flights(name: str, alerts: list[dict[str, Any]], questions: Questions, room: float) -> list[Answer]:
    """Norms around alerts, as many as fit: of errors first, then in order of step."""
    blamed = [alert for alert in alerts if alert["finding"] is None and not alert["computed"]]
    answers: list[Answer] = []
    steps = [alert["step"] for alert in sorted(blamed, key=lambda alert: alert["severity"] != "error")]
    for step in list(dict.fromkeys(steps))[:MOST_FLIGHTS]:
        body = questions.ask("flight", run=name, step=step)
        if body is None or framing.unpack(body)[0]["rows"] == 0:
            continue
        answer = package.of_flight(name, step, body)
        if answers and answer.size > room:
            break
        answers.append(answer)
        room -= answer.size
    return answers
