"""HTTP of the tab: arguments in, `answers` out, as `http_api.md` says. Read-only, GET and HEAD only."""

from __future__ import annotations

import functools
import itertools
import logging
import math
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from tensorboard import errors, plugin_util
from tensorboard.backend import http_util
from tensorboard.context import RequestContext
from tensorboard.plugins.base_plugin import FrontendMetadata, TBContext, TBPlugin
from werkzeug import wrappers

from tb_gradclip.core import checked, framing
from tb_gradclip.core.charts import lines
from tb_gradclip.core.schema import PLUGIN_NAME, SCHEMA
from tb_gradclip.plugin import answers, arguments, export, histogram_answers, limits, parameters, shown_answers
from tb_gradclip.plugin.experiments import Experiments
from tb_gradclip.plugin.kept import Body, KeptAnswers, body, sent
from tb_gradclip.plugin.shown import Shown
from tb_gradclip.plugin.what_if import WhatIfs
from tb_gradclip.storage.read import UnreadableHistogramError
from tb_gradclip.storage.source import Recorded

logger = logging.getLogger(__name__)
BUNDLE = Path(__file__).parent / "static" / "index.js"

CSV_HEADERS = {
    "Content-Type": "text/csv; charset=utf-8; header=present",
    "Content-Disposition": 'attachment; filename="gradclip.csv"',
    "Cache-Control": "no-cache, must-revalidate",
    "X-Content-Type-Options": "nosniff",
}

ALLOWED = [("Allow", "GET, HEAD")]

Answer = tuple[bytes, str]
Route = Callable[["GradClipPlugin", wrappers.Request], "Answer | Body | wrappers.Response"]


def _route(answer: Route) -> Callable[[GradClipPlugin, wrappers.Request], wrappers.Response]:
    """Wrap an answer in HTTP: refuse what is neither GET nor HEAD, turn errors into a line of plain text."""

    @functools.wraps(answer)
    def respond(plugin: GradClipPlugin, request: wrappers.Request) -> wrappers.Response:
        if request.method not in ("GET", "HEAD"):
            return _text(request, f"this address answers GET and HEAD only, got {request.method}", 405, ALLOWED)
        try:
            answered = answer(plugin, request)
            if isinstance(answered, Body):
                return sent(request, answered)
            return answered if isinstance(answered, wrappers.Response) else http_util.Respond(request, *answered)
        except errors.PublicError as error:
            return _text(request, str(error), error.http_code)
        except Exception:
            logger.exception("gradclip failed to answer %s", request.full_path)
            return _text(request, "gradclip failed to answer; TensorBoard's log says why", 500)

    return respond


def _text(
    request: wrappers.Request, message: str, code: int, headers: Sequence[tuple[str, str]] = ()
) -> wrappers.Response:
    return http_util.Respond(request, checked.printable(message), "text/plain", code=code, headers=headers)


def _json(value: Any) -> Answer:
    return framing.encoded(value), "application/json"


class GradClipPlugin(TBPlugin):  # type: ignore[misc]  # TensorBoard ships no types
    """The plugin: everything it shows comes from TensorBoard's own data provider."""

    plugin_name = PLUGIN_NAME

    def __init__(self, context: TBContext) -> None:
        self._experiments = Experiments(context.data_provider)
        self._what_ifs = WhatIfs()
        self._answers = KeptAnswers()
        self._told = False

    def get_plugin_apps(self) -> dict[str, Callable[..., Any]]:
        """Routes by path."""
        routes = {
            "/index.js": self._index,
            "/runs": self._runs,
            "/series": self._series,
            "/csv": self._csv,
            "/histogram": self._histogram,
            "/histograms": self._histograms,
            "/what_if": self._what_if,
            "/parameters": self._parameters,
            "/flight": self._flight,
        }
        return {path: wrappers.Request.application(route) for path, route in routes.items()}

    def is_active(self) -> bool:
        """Whether some scalar could be a loss: TensorBoard asks only where the logs hold no data of ours.

        It asks whenever it lists its tabs. So nothing is read for it, a listing serves all who ask within a second or
        more, and no failure gets out.
        """
        try:
            return self._experiments.of("").any_loss(RequestContext(), "")
        except Exception:
            if not self._told:
                logger.warning("gradclip could not look for losses", exc_info=True)
            self._told = True
            return False

    def frontend_metadata(self) -> FrontendMetadata:
        """The tab."""
        return FrontendMetadata(es_module_path="/index.js", tab_name="Gradient Clipping")

    @_route
    def _index(self, request: wrappers.Request) -> Body:
        return _code(BUNDLE.stat().st_mtime_ns)

    @_route
    def _runs(self, request: wrappers.Request) -> Body:
        experiment, ctx = plugin_util.experiment_id(request.environ), plugin_util.context(request.environ)
        held = self._experiments.of(experiment)
        known = held.runs(ctx, experiment, request.args.get("loss"))
        choices = tuple((name, shown.choices) for name, shown in known.items())
        unread = tuple(held.problems.items())

        def answer() -> Body:
            runs, problems = shown_answers.runs_json(known)
            all_ = [*problems, *unread]
            told = [{"run": name, "problem": sentence} for name, sentences in all_ for sentence in sentences]
            return body(*_json({"schema": SCHEMA, "runs": runs, "problems": told}))

        state = _made_of(known.values())
        return self._answers.answer(_question(request), state, answer, values=(choices, unread), quick=True)

    @_route
    def _series(self, request: wrappers.Request) -> Body:
        names, wanted = arguments.names(request), arguments.wanted(request)
        points = arguments.whole(request, "points", 1000, 10, 10_000)
        limits.points(len(names), len(wanted.columns), points)
        runs = self._shown(request, names)
        view = lines.View(wanted.axis, wanted.bounds, points)

        def answer() -> Body:
            drawn = [shown_answers.shown_series(run, c, view, wanted.window) for run in runs for c in wanted.columns]
            return body(answers.series_body(drawn), "application/octet-stream")

        return self._answers.answer(_question(request), _made_of(runs), answer)

    @_route
    def _csv(self, request: wrappers.Request) -> wrappers.Response:
        names, wanted = arguments.names(request), arguments.wanted(request)
        runs = self._shown(request, names)
        count = export.row_count(runs, wanted)
        if count > export.MOST_ROWS:
            most = f"at most {export.MOST_ROWS:,} rows"
            raise errors.InvalidArgumentError(
                f"a table has {most}, these would be {count:,}: ask for fewer runs or a shorter range (`from`, `to`)"
            )
        pieces = export.csv_pieces(runs, wanted)
        first = next(pieces)  # what fails later breaks the table off, which a browser tells from a whole one
        return wrappers.Response(itertools.chain([first], pieces), headers=CSV_HEADERS)

    @_route
    def _histogram(self, request: wrappers.Request) -> Answer:
        run = self._one(request).run
        step = arguments.whole(request, "step", None, 0, 2**63 - 1)
        within = "from" in request.args or "to" in request.args
        bounds = arguments.bounds(request)
        if not len(run.histograms):
            raise errors.NotFoundError(f"run {run.name!r} has no histograms yet")
        try:
            found = histogram_answers.nearest(run.histograms, step, bounds) if within else run.histograms.at(step)
            return _json(answers.histogram_json(run, found, request.args.get("parameter")))
        except KeyError as error:
            raise errors.NotFoundError(error.args[0]) from error
        except UnreadableHistogramError as error:
            raise errors.NotFoundError(str(error)) from error

    @_route
    def _histograms(self, request: wrappers.Request) -> Body:
        run = self._one(request).run
        bounds = arguments.bounds(request)
        steps = arguments.whole(request, "steps", histogram_answers.MOST_STEPS, 1, histogram_answers.MOST_STEPS)
        if not len(run.histograms):
            raise errors.NotFoundError(f"run {run.name!r} has no histograms yet")

        def answer() -> Body:
            drawn = histogram_answers.map_body(run, bounds, request.args.get("parameter"), steps)
            return body(drawn, "application/octet-stream")

        try:
            return self._answers.answer(_question(request), [run], answer)
        except KeyError as error:
            raise errors.NotFoundError(error.args[0]) from error

    @_route
    def _what_if(self, request: wrappers.Request) -> Body:
        recorded = self._one(request)
        bounds = arguments.bounds(request)
        points = arguments.whole(request, "points", 200, 10, 2000)
        threshold = arguments.number(request, "at", 0.0) if "at" in request.args else None
        if threshold is not None and not 0 < threshold < math.inf:
            raise errors.InvalidArgumentError(f"`at` must be a number above 0, got {request.args['at']!r}")

        def answer() -> Body:
            return body(*_json(self._what_ifs.answer(recorded, bounds, points, threshold)))

        return self._answers.answer(_question(request), [recorded.run], answer)

    @_route
    def _parameters(self, request: wrappers.Request) -> Body:
        recorded = self._one(request)
        bounds = arguments.bounds(request)
        most = arguments.whole(request, "windows", parameters.MOST_WINDOWS, 1, parameters.MOST_WINDOWS)
        state = [recorded.run, recorded.details.edition]

        def answer() -> Body:
            return body(parameters.windows_body(recorded, bounds, most), "application/octet-stream")

        return self._answers.answer(_question(request), state, answer)

    @_route
    def _flight(self, request: wrappers.Request) -> Answer:
        recorded = self._one(request)
        step = arguments.whole(request, "step", None, 0, 2**63 - 1)
        try:
            return parameters.flight_body(recorded, step), "application/octet-stream"
        except KeyError as error:
            raise errors.NotFoundError(error.args[0]) from error

    def _shown(self, request: wrappers.Request, names: Sequence[str]) -> list[Shown]:
        experiment, ctx = plugin_util.experiment_id(request.environ), plugin_util.context(request.environ)
        known = self._experiments.of(experiment).runs(ctx, experiment, request.args.get("loss"))
        for name in names:
            if name not in known:
                raise errors.NotFoundError(f"no gradclip data in run {name!r}, nor a scalar that could be its loss")
        return [known[name] for name in names]

    def _one(self, request: wrappers.Request) -> Recorded:
        """The run asked for, whose gradients were recorded; scalars are not looked at."""
        experiment, ctx = plugin_util.experiment_id(request.environ), plugin_util.context(request.environ)
        name, known = request.args.get("run", ""), self._experiments.of(experiment).recorded(ctx, experiment)
        if name not in known:
            self._shown(request, [name])
            raise errors.NotFoundError(f"run {name!r} has only scalars: its gradients were not recorded")
        return known[name]


def _question(request: wrappers.Request) -> tuple[object, ...]:
    """Tells what is asked from all else that is."""
    asked = tuple(request.args.items(multi=True))
    return request.path, plugin_util.experiment_id(request.environ), asked


@functools.lru_cache(maxsize=1)
def _code(written: int) -> Body:
    """The dashboard, as it was written at some moment: another one while somebody works on it."""
    return body(BUNDLE.read_bytes(), "text/javascript")


def _made_of(runs: Iterable[Shown]) -> list[object]:
    return [part for run in runs for part in run.made_of]
