"""Boundaries of the code, and the promise that looking never imports training."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = "tb_gradclip"

# What each part of the package may import from it. A part is a folder, or a file beside the folders.
ALLOWED: dict[str, set[str]] = {
    "core": {"core"},
    "telling": set(),
    "storage": {"core", "storage", "telling"},
    "actions": {"core", "telling"},
    "webhook": {"core", "telling"},
    "recorder": {"core", "actions", "storage.write", "telling"},
    "collector": {"core", "recorder", "telling"},
    "harmless": {"telling"},
    "observation": set(),
    "torch": {
        *("core", "actions", "collector", "recorder", "storage.write", "harmless", "observation", "telling"),
        "torch",
    },
    "tensorflow": {"core", "actions", "collector", "recorder", "storage.write", "harmless", "telling", "tensorflow"},
    "keras": {
        *("core", "actions", "collector", "recorder", "storage.write", "harmless", "observation", "telling"),
        *("keras", "tensorflow.ops", "tensorflow.replicas"),
    },
    "lightning": {"core", "actions", "recorder", "torch"},
    "transformers": {"core", "actions", "recorder", "torch"},
    "launch": {"observation", "torch.autowatch", "keras.autowatch"},
    "plugin": {"core", "storage", "plugin"},
    "offline": {"core", "storage.events", "storage.problems", "plugin.routes", "offline"},
    "imports": {"core", "recorder", "storage.events", "storage.write", "imports"},
    "commands": {
        *("core", "commands", "imports", "launch", "offline", "plugin.routes", "__version__"),
        *("storage.events", "storage.figures", "storage.problems", "storage.read", "storage.runs"),
    },
    "cli": {"commands"},
    "__main__": {"cli"},
    "__init__": {"actions", "core.alert", "storage.read", "storage.runs", "webhook"},
}
TELLING = {"telling.py", "imports/write.py", "storage/runs.py"}
"""What may warn in another way than `telling.tell`, which never raises: what runs while nobody trains."""

FRAMEWORKS = {"torch", "tensorflow", "keras", "jax", "lightning", "pytorch_lightning", "transformers"}
MAY_IMPORT_FRAMEWORK = {
    "torch": {"torch"},
    "tensorflow": {"tensorflow"},
    "keras": {"keras", "jax"},
    "lightning": {"torch", "lightning", "pytorch_lightning"},
    "transformers": {"torch", "transformers"},
}


def part(path: Path) -> str:
    return path.relative_to(ROOT / PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path) -> set[str]:
    """Dotted names a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


SOURCES = sorted((ROOT / PACKAGE).rglob("*.py"))


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_imports_only_what_its_part_may(path: Path) -> None:
    for name in imports(path):
        if name.startswith(f"{PACKAGE}."):
            inner = name.removeprefix(f"{PACKAGE}.")
            assert any(inner == a or inner.startswith(f"{a}.") for a in ALLOWED[part(path)]), f"{path} imports {name}"
        elif name.split(".")[0] in FRAMEWORKS:
            assert name.split(".")[0] in MAY_IMPORT_FRAMEWORK.get(part(path), set()), f"{path} imports {name}"


def test_no_warning_while_somebody_trains_can_become_an_error() -> None:
    warning = {path.relative_to(ROOT / PACKAGE).as_posix() for path in SOURCES if "warnings" in imports(path)}
    assert warning == TELLING


def test_core_imports_nothing_but_numpy_and_the_standard_library() -> None:
    for path in SOURCES:
        if part(path) == "core":
            outside = {name.split(".")[0] for name in imports(path)} - set(sys.stdlib_module_names) - {PACKAGE, "numpy"}
            assert not outside, f"{path} imports {outside}"


def test_two_files_know_that_several_processes_train() -> None:
    knowing = {path.name for path in SOURCES if any(name.startswith("torch.distributed") for name in imports(path))}
    assert knowing == {"processes.py", "sharded.py"}


@pytest.mark.parametrize("path", sorted((ROOT / "demo").glob("*.py")), ids=lambda path: path.name)
def test_the_demo_uses_public_names_only(path: Path) -> None:
    public = re.compile(
        r"tb_gradclip(\.(torch|tensorflow|keras|lightning|transformers)\.(ClipWriter|ClipCallback|watch)|\.read|\.(Alert|Checkpoint|DivergenceError|Webhook)|$)"
    )
    for name in imports(path):
        assert not name.startswith(PACKAGE) or public.match(name), f"{path} imports {name}"


LOOKING = """
import tb_gradclip.cli, tb_gradclip.launch, tb_gradclip.plugin.loader, tb_gradclip.plugin.routes
import tb_gradclip.commands.check, tb_gradclip.commands.import_logs, tb_gradclip.commands.report
import tb_gradclip.commands.html_report, tb_gradclip.offline.budget, tb_gradclip.offline.page
from tb_gradclip import DivergenceError, Run, read
"""


def loaded(statement: str) -> set[str]:
    """Frameworks that are loaded once this statement has run in a fresh interpreter."""
    program = f"{statement}\nimport sys\nprint(*({FRAMEWORKS!r} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_looking_loads_neither_torch_nor_tensorflow() -> None:
    assert loaded(LOOKING) == set()


def test_the_test_above_can_fail() -> None:
    assert loaded(f"{LOOKING}\nimport torch") == {"torch"}


@pytest.mark.parametrize(
    ("module", "frameworks", "extra"),
    [
        ("torch", ["torch"], "torch"),
        ("tensorflow", ["tensorflow"], "tensorflow"),
        ("keras", ["keras"], "tensorflow"),
        ("lightning", ["lightning", "pytorch_lightning"], "lightning"),
        ("transformers", ["transformers"], "transformers"),
    ],
)
def test_a_missing_framework_names_the_command_that_installs_it(module: str, frameworks: list[str], extra: str) -> None:
    program = f"import sys\nsys.modules.update(dict.fromkeys({frameworks}))\nimport tb_gradclip.{module}"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert f'pip install "tb_gradclip[{extra}]"' in done.stderr.splitlines()[-1]


@pytest.mark.parametrize("folder", sorted({path.parent for path in SOURCES} - {ROOT / PACKAGE}), ids=lambda f: f.name)
def test_every_folder_says_what_is_in_it(folder: Path) -> None:
    map_of_it = ast.get_docstring(ast.parse((folder / "__init__.py").read_text())) or ""
    files = {path.stem for path in folder.glob("*.py")} - {"__init__"}
    inside = files | {path.parent.name for path in folder.glob("*/__init__.py")}
    assert [name for name in sorted(inside) if f"`{name}`" not in map_of_it] == []


def test_every_route_is_in_the_http_api() -> None:
    from tb_gradclip.plugin.routes import GradClipPlugin

    contract = (ROOT / PACKAGE / "plugin" / "http_api.md").read_text()
    described = set(re.findall(r"^## `(.+)`", contract, re.MULTILINE))
    routes = GradClipPlugin.__new__(GradClipPlugin).get_plugin_apps()
    assert {route.removeprefix("/") for route in routes} == described


# Which folder of the front end may import from which; views see everything, nothing sees views.
FRONTEND = {
    "views": {"views", "state", "charts", "model", "api", "theme"},
    "state": {"state", "model", "api", "host", "theme"},
    "charts": {"charts", "model", "theme"},
    "model": {"model", "api"},
    "api": {"api"},
    "theme": {"theme"},
    "host": {"host"},
}
