"""What no route answers: wrong arguments, and anything but GET."""

from __future__ import annotations

import pytest
from tensorboard.plugins.base_plugin import TBContext
from werkzeug.test import Client

from tb_gradclip.plugin.routes import GradClipPlugin
from tests.logs import write_runs
from tests.plugin.server import serve

PATHS = list(GradClipPlugin(TBContext()).get_plugin_apps())
ERRORS = [
    ("/series?column=loss", 400, "`run` must come 1 to 100 times, got 0"),
    ("/series?run=clipped", 400, "`column` must be among loss"),
    ("/series?run=clipped&column=weight", 400, "got ['weight']"),
    ("/series?run=clipped&column=loss&points=5", 400, "`points` must be a whole number from 10 to 10000, got '5'"),
    ("/series?run=clipped&column=loss&points=many", 400, "got 'many'"),
    ("/series?run=clipped&column=loss&axis=epoch", 400, "`axis` must be one of step, relative, wall_time, got 'epoch'"),
    ("/series?run=clipped&column=loss&from=here", 400, "`from` must be a number, got 'here'"),
    ("/series?run=clipped&column=clip_rate&window=0", 400, "`window` must be a whole number"),
    ("/series?run=nobody&column=loss", 404, "no gradclip data in run 'nobody'"),
    ("/histogram?run=clipped", 400, "`step` must be a whole number"),
    ("/histogram?run=clipped&step=0&from=x", 400, "`from` must be a number, got 'x'"),
    ("/histogram?run=clipped&step=0&parameter=x", 404, "unknown parameter 'x'; this run has embedding.weight"),
    ("/histogram?run=../../etc&step=0", 404, "no gradclip data in run '../../etc'"),
    ("/csv?column=loss", 400, "`run` must come 1 to 100 times, got 0"),
    ("/csv?run=clipped", 400, "`column` must be among loss"),
    ("/csv?run=clipped&column=step", 400, "got ['step']"),
    ("/csv?run=clipped&column=loss&axis=epoch", 400, "`axis` must be one of"),
    ("/csv?run=clipped&column=loss&to=nan", 400, "`to` must be a number, got 'nan'"),
    ("/csv?run=../../etc&column=loss", 404, "no gradclip data in run '../../etc'"),
    ("/parameters", 404, "no gradclip data in run ''"),
    ("/parameters?run=nobody", 404, "no gradclip data in run 'nobody'"),
    ("/parameters?run=clipped&from=here", 400, "`from` must be a number, got 'here'"),
    ("/parameters?run=clipped&windows=401", 400, "`windows` must be a whole number from 1 to 400, got '401'"),
    ("/flight?run=clipped", 400, "`step` must be a whole number"),
    ("/flight?run=nobody&step=1", 404, "no gradclip data in run 'nobody'"),
    ("/flight?run=clipped&step=17", 404, "no norms of single steps around step 17"),
    ("/what_if", 404, "no gradclip data in run ''"),
    ("/what_if?run=nobody", 404, "no gradclip data in run 'nobody'"),
    ("/what_if?run=clipped&from=here", 400, "`from` must be a number, got 'here'"),
    ("/what_if?run=clipped&points=5", 400, "`points` must be a whole number from 10 to 2000, got '5'"),
    ("/what_if?run=clipped&at=", 400, "`at` must be a number, got ''"),
    ("/what_if?run=clipped&at=-1", 400, "`at` must be a number above 0, got '-1'"),
    ("/what_if?run=clipped&at=inf", 400, "`at` must be a number above 0, got 'inf'"),
    ("/histograms?run=nobody", 404, "no gradclip data in run 'nobody'"),
    ("/histograms?run=clipped&parameter=x", 404, "unknown parameter 'x'; this run has embedding.weight"),
    ("/histograms?run=clipped&from=here", 400, "`from` must be a number, got 'here'"),
    ("/histograms?run=clipped&steps=121", 400, "`steps` must be a whole number from 1 to 120, got '121'"),
]


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Client:
    path = tmp_path_factory.mktemp("logs")
    write_runs(path)
    return serve(path)


@pytest.mark.parametrize(("path", "status", "message"), ERRORS, ids=[path for path, _, _ in ERRORS])
def test_a_wrong_request_is_told_what_is_wrong(client: Client, path: str, status: int, message: str) -> None:
    answer = client.get(path)
    assert (answer.status_code, answer.mimetype) == (status, "text/plain")
    assert message in answer.text


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", ["post", "put", "delete"])
def test_nothing_but_get_is_answered(client: Client, path: str, method: str) -> None:
    assert getattr(client, method)(path).status_code == 405
