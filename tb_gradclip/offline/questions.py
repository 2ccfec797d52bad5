"""The routes of the tab, asked without a server: what they answer is what the dashboard would be given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tensorboard.plugins.base_plugin import TBContext
from werkzeug.test import Client
from werkzeug.wrappers import Request, Response

from tb_gradclip.offline.provider import RunProvider
from tb_gradclip.plugin.routes import GradClipPlugin

Argument = str | int | float | Sequence[str]


class Questions:
    """The tab's routes over the event files of one run.

    Args:
      name: of the run.
      files: its event files, the oldest first.
    """

    def __init__(self, name: str, files: Sequence[Path]) -> None:
        provider = RunProvider(name, files)
        apps: Mapping[str, Any] = GradClipPlugin(TBContext(data_provider=provider)).get_plugin_apps()
        self.damage = [{"run": name, "problem": sentence} for sentence in provider.problems.sentences]
        """Of the files, as the route `runs` tells `problems`."""

        @Request.application
        def dispatch(request: Request) -> Response:
            return Response.force_type(apps[request.path], request.environ)

        self._client = Client(dispatch)

    def ask(self, route: str, **query: Argument) -> bytes | None:
        """The body of an answer; None where the route has none (404).

        Raises:
          RuntimeError: the route failed; says what it said.
        """
        answer = self._client.get(f"/{route}", query_string=dict(query))
        if answer.status_code == 404:
            return None
        if answer.status_code != 200:
            raise RuntimeError(f"the route {route} answered {answer.status_code}: {answer.get_data(as_text=True)}")
        return bytes(answer.get_data())
