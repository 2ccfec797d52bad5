"""The plugin without TensorBoard around it."""

from __future__ import annotations

from pathlib import Path

from tensorboard.backend.event_processing.data_provider import MultiplexerDataProvider
from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
from tensorboard.plugins.base_plugin import TBContext
from werkzeug.test import Client
from werkzeug.wrappers import Request, Response

from tb_gradclip.plugin.routes import GradClipPlugin


def serve(logdir: Path) -> Client:
    """The plugin alone, on the Python loader: ten tensors a tag, its default, and every scalar."""
    multiplexer = EventMultiplexer(tensor_size_guidance={"gradclip": 10, "scalars": 0})
    multiplexer.AddRunsFromDirectory(str(logdir))
    multiplexer.Reload()
    plugin = GradClipPlugin(TBContext(data_provider=MultiplexerDataProvider(multiplexer, str(logdir))))
    apps = plugin.get_plugin_apps()

    @Request.application
    def dispatch(request: Request) -> Response:
        return Response.force_type(apps[request.path], request.environ)

    return Client(dispatch)
