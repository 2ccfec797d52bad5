"""TensorBoard is never harmed: whatever is broken in this package or beside it, it starts, and other plugins answer."""

from __future__ import annotations

import ast
import contextlib
import importlib
import inspect
import json
import logging
import pkgutil
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import quote

import pytest
from tensorboard.backend.event_processing.data_provider import MultiplexerDataProvider
from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
from tensorboard.plugins.base_plugin import TBContext
from werkzeug.test import Client

import tb_gradclip
from tb_gradclip.core.rules import TORCH_EPSILON, Rule
from tb_gradclip.plugin import loader
from tb_gradclip.plugin.routes import GradClipPlugin
from tests.logs import write_run
from tests.scalars import ScalarFile, diverging_loss, points
from tests.tensorboard import LOADERS, fetch, tensorboard

ROOT = Path(__file__).parent.parent.parent
PROGRAM = ROOT / "tests" / "scripts" / "tensorboard_plugins.py"
STEPS = 600
RULE = Rule("global_norm", 1.0, epsilon=TORCH_EPSILON)
QUESTIONS = (
    "index.js",
    "runs",
    "series?run=run&column=loss&column=clip_rate",
    "csv?run=run&column=loss",
    "histogram?run=run&step=100",
    "histograms?run=run",
    "what_if?run=run",
    "parameters?run=run",
)


@pytest.fixture(scope="module")
def logdir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("beside") / "logs"
    write_run(path / "run", STEPS, RULE)
    ScalarFile(path / "other").add({"loss": points(diverging_loss(300)), "accuracy": points([0.5] * 300)})
    return path


def get(address: str, path: str) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(f"{address}data/{path}") as response:
            return response.status, response.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


OTHERS = (
    "plugin/scalars/tags",
    "plugin/scalars/scalars?run=other&tag=loss",
    "plugin/scalars/scalars?run=run&tag=gradclip/norm_before",
    "plugin/histograms/tags",
    "plugin/histograms/histograms?run=run&tag=gradclip/before",
    "runs",
)


def wait_for_others(address: str) -> list[tuple[int, Any]]:
    """What other plugins answer once everything is loaded. The data server in Rust names tags in any order."""
    answers: list[tuple[int, Any]] = []
    for _ in range(60):
        with contextlib.suppress(KeyError, ValueError):
            tags = json.loads(get(address, "plugin/scalars/tags")[1])
            known = [(status, json.loads(body)) for status, body in (get(address, path) for path in OTHERS)]
            if len(tags["run"]) == 3 and len(tags["other"]) == 2 and known == answers:
                return answers
            answers = known
        subprocess.run(["sleep", "1.2"], check=True)
    raise AssertionError(answers)


@pytest.mark.parametrize("fast", ["true", pytest.param("false", marks=pytest.mark.long)])
def test_other_plugins_answer_the_same_with_us_without_us_and_with_us_broken(logdir: Path, fast: str) -> None:
    with tensorboard(logdir, f"--load_fast={fast}") as address:
        wait_for_recorded(address)
        ours = wait_for_others(address)
        assert get(address, "plugin/gradclip/runs")[0] == 200
    for how in ("without", "broken"):
        with tensorboard(logdir, f"--load_fast={fast}", start=(sys.executable, PROGRAM, how)) as address:
            assert wait_for_others(address) == ours
            assert "gradclip" not in json.loads(get(address, "plugins_listing")[1])
    logs = [log.read_text() for log in logdir.parent.glob("tensorboard-*.log")]
    assert any("RuntimeError: injected" in log for log in logs)
    assert all(log.count("gradclip is not available") == ("injected" in log) for log in logs)


def wait_for_recorded(address: str) -> str:
    """Wait until the run is read; its name."""
    for _ in range(60):
        runs = json.loads(fetch(address, "runs"))["runs"]
        whole = [run["name"] for run in runs if run["recorded"] and run["steps"] == STEPS and run["complete"]]
        if whole:
            return str(whole[0])
        subprocess.run(["sleep", "0.3"], check=True)
    raise AssertionError(runs)


@pytest.fixture
def broken_frameworks(tmp_path: Path) -> dict[str, str]:
    """An environment in which what trains cannot be imported, though it is there."""
    for name, error in (("torch", "RuntimeError"), ("keras", "RuntimeError"), ("jax", "RuntimeError")):
        (tmp_path / f"{name}.py").write_text(f"raise {error}('broken')\n")
    (tmp_path / "tensorflow.py").write_text("raise ImportError('broken')\n")  # anything else stops TensorBoard alone
    return {"PYTHONPATH": f"{tmp_path}:{ROOT}"}


OPTIONS: list[tuple[str, ...]] = [
    ("--path_prefix=/a/b", "--bind_all", "--window_title=A <b>title</b>", "--reload_multifile=true"),
    ("--logdir_spec", "--samples_per_plugin=scalars=5,histograms=3,gradclip=10"),
    ("--host=127.0.0.1", "--samples_per_plugin=images=1", "--load_fast=false"),
]


def start_options(options: tuple[str, ...], logdir: Path) -> list[str]:
    """With the directories in place."""
    return [f"{o}=run:{logdir / 'run'},{logdir / 'other'}" if o == "--logdir_spec" else o for o in options]


@pytest.mark.parametrize("options", OPTIONS, ids=" ".join)
def test_every_option_of_tensorboard_leaves_the_tab_as_it_is(
    logdir: Path, options: tuple[str, ...], broken_frameworks: dict[str, str], long: bool
) -> None:
    several = [options]
    if long:
        several += [(option, f"--load_fast={fast}") for option in options for fast in LOADERS]
        several = [each for each in several if each != ("--logdir_spec", "--load_fast=true")]  # which excludes it
    for each in several:
        with tensorboard(logdir, *start_options(each, logdir), environment=broken_frameworks) as address:
            name = wait_for_recorded(address)
            for question in QUESTIONS:
                asked = question.replace("run=run", f"run={quote(name)}")
                assert get(address, f"plugin/gradclip/{asked}")[0] == 200, (each, asked)
            assert json.loads(get(address, "plugins_listing")[1])["gradclip"]["enabled"]


def test_reading_needs_no_framework(logdir: Path, broken_frameworks: dict[str, str]) -> None:
    program = f"import tb_gradclip; print(len(tb_gradclip.read({str(logdir)!r})['run'].steps))"
    done = subprocess.run(
        [sys.executable, "-c", program], env=broken_frameworks, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == str(STEPS)


def test_the_module_that_tensorboard_imports_imports_nothing_that_could_fail() -> None:
    """It is imported without a net: an error in it, or in what it imports, and TensorBoard does not start."""
    found = {
        node.module if isinstance(node, ast.ImportFrom) else node.names[0].name
        for node in ast.parse(Path(loader.__file__).read_text()).body
        if isinstance(node, (ast.Import, ast.ImportFrom))
    }
    assert found == {"__future__", "logging", "typing", "tensorboard.plugins.base_plugin"}
    for package in (tb_gradclip, importlib.import_module("tb_gradclip.plugin")):
        names = [
            node for node in ast.parse(Path(str(package.__file__)).read_text()).body if isinstance(node, ast.Import)
        ]
        assert names == []


IMPORTS = """
import importlib.abc, logging, sys, types
class Broken(importlib.abc.MetaPathFinder):
    def find_spec(self, name, *_):
        if name == self.name:
            raise RuntimeError("injected")
broken = Broken(); sys.meta_path.insert(0, broken)
class Told(logging.Handler):
    def emit(self, record):
        told.append(record.getMessage())
logging.getLogger().addHandler(Told())
for broken.name in sys.argv[1:]:
    for name in [name for name in sys.modules if name.startswith("tb_gradclip")]:
        del sys.modules[name]
    told = []
    from tb_gradclip.plugin.loader import GradClipLoader
    loader = GradClipLoader()
    loader.define_flags(None); loader.fix_flags(types.SimpleNamespace(samples_per_plugin={}))
    assert loader.load(None) is None, broken.name
    assert told == ["gradclip is not available"], (broken.name, told)
print("all")
"""


def modules() -> list[str]:
    """What the plugin is made of, the loader apart."""
    program = (
        "import sys, tb_gradclip.plugin.routes as r; print(*[n for n in sys.modules if n.startswith('tb_gradclip.')])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return [name for name in done.stdout.split() if name not in ("tb_gradclip.plugin", "tb_gradclip.plugin.loader")]


def test_whichever_module_cannot_be_imported_tensorboard_is_told_in_one_line() -> None:
    names = modules()
    assert len(names) > 30
    done = subprocess.run([sys.executable, "-c", IMPORTS, *names], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "all", done.stderr[-2000:]


LOG = "gradclip is not available"
NEEDED = ("numpy", "google_crc32c", "werkzeug", "google.protobuf")
"""Of others, what the plugin imports besides TensorBoard."""
NOT_NEEDED = (
    *("watchdog", "cryptography", "colorama", "markupsafe"),  # extras and parts of werkzeug
    *("torch", "tensorflow", "keras", "jax", "lightning", "pytorch_lightning", "transformers", "accelerate"),
    *("pandas", "scipy", "matplotlib", "rich"),
)


LACKING = [
    *NEEDED[:2],
    *(pytest.param(name, marks=pytest.mark.long) for name in NEEDED[2:]),
    pytest.param(",".join(NOT_NEEDED), id="not needed"),
]


@pytest.mark.parametrize("lacking", LACKING)
def test_whatever_else_cannot_be_imported_tensorboard_starts(logdir: Path, tmp_path: Path, lacking: str) -> None:
    """By modules of ours alone: without some of it there is no TensorBoard either."""
    logs = tmp_path / "logs"
    logs.symlink_to(logdir)
    with tensorboard(logs, start=(sys.executable, PROGRAM, "lacks", lacking)) as address:
        assert get(address, "plugin/scalars/tags")[0] == 200
        listing = json.loads(get(address, "plugins_listing")[1])
        assert listing["scalars"]["enabled"]
        assert ("gradclip" in listing) == (lacking not in NEEDED)
        if lacking not in NEEDED:
            wait_for_recorded(address)
            assert [get(address, f"plugin/gradclip/{question}")[0] for question in QUESTIONS] == [200] * len(QUESTIONS)
    (log,) = [log.read_text() for log in tmp_path.glob("tensorboard-*.log")]
    assert (log.count(LOG), log.count(f"no module named {lacking}")) == ((1, 1) if lacking in NEEDED else (0, 0))


def _raise(*_: Any, **__: Any) -> NoReturn:
    raise RuntimeError("injected")


def breakable() -> Iterator[tuple[Any, str]]:
    """Every function and method that the plugin may call, by where it is looked up."""
    for package in ("core", "core.charts", "storage", "plugin"):
        folder = importlib.import_module(f"tb_gradclip.{package}")
        for info in pkgutil.iter_modules(folder.__path__, f"tb_gradclip.{package}."):
            module = importlib.import_module(info.name)
            for name, value in vars(module).items():
                if inspect.isfunction(value) and value.__module__.startswith("tb_gradclip"):
                    yield module, name
                elif inspect.isclass(value) and value.__module__ == info.name:
                    own = [
                        n for n, f in vars(value).items() if inspect.isfunction(f) and (n == "__init__" or n[0] != "_")
                    ]
                    yield from ((value, method) for method in own)


def test_whichever_function_fails_only_what_needs_it_is_not_answered(
    logdir: Path, long: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    logging.disable(logging.CRITICAL)
    multiplexer = EventMultiplexer(tensor_size_guidance={"gradclip": 0})
    multiplexer.AddRunsFromDirectory(str(logdir))
    multiplexer.Reload()
    provider = MultiplexerDataProvider(multiplexer, str(logdir))
    reached = 0
    for place, (owner, name) in enumerate(breakable()):
        if owner is loader.GradClipLoader or (
            owner is GradClipPlugin and name in ("__init__", "get_plugin_apps", "frontend_metadata", "is_active")
        ):
            continue
        if (not long and place % 6) or name == "printable":  # which writes what a refusal says
            continue
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, _raise)
            statuses = [status for _, status in ask(provider)]
        assert set(statuses) <= {200, 400, 404, 500}, (owner, name, statuses)
        assert statuses[0] == 200 or owner in (GradClipPlugin, importlib.import_module("tb_gradclip.plugin.routes"))
        reached += 500 in statuses
    assert all(status == 200 for _, status in ask(provider))
    assert reached > 10
    logging.disable(logging.NOTSET)


def ask(provider: Any) -> list[tuple[str, int]]:
    """A new plugin, all its hooks and every question."""
    plugin = loader.GradClipLoader().load(TBContext(data_provider=provider))
    if plugin is None:
        return [("", 200)]
    assert isinstance(plugin.is_active(), bool)
    assert plugin.frontend_metadata().es_module_path == "/index.js"
    apps: dict[str, Callable[..., Any]] = plugin.get_plugin_apps()
    found = []
    for question in QUESTIONS:
        answer = Client(apps[f"/{question.split('?')[0]}"]).get(f"/{question}")
        found.append((question, answer.status_code))
        with contextlib.suppress(RuntimeError):  # what fails halfway through a table breaks off that table
            len(answer.data)
    return found
