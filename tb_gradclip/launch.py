"""Runs a training script as `python` would, and has frameworks observed from the moment the script imports them.

Nothing is imported before the script does it, so what it sets up first, environment variables for example, still
counts; and it is `__main__` until the interpreter ends, for everything that is pickled or started by name. An exception
leaves through us to the interpreter, so that exit status, signals and hooks are its business; our frames are taken out
of the traceback.
"""

from __future__ import annotations

import atexit
import functools
import importlib.util
import io
import os
import sys
import types
from collections.abc import Callable, Sequence
from importlib.abc import InspectLoader, MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from typing import Any

from tb_gradclip.observation import Observation

OURS = str(Path(__file__).parent) + os.sep


def run(command: Sequence[str], logdir: str | os.PathLike[str], as_module: bool = False) -> int:
    """Run a script, or a module as `python -m` does, and record its training.

    Args:
      command: path of the script or name of the module, then its arguments.
      logdir: directory of the first run, others go below it. Where several processes train together, as `torchrun`
        starts them, only that of rank 0 records.
      as_module: whether it is a module.

    Returns:
      Exit status of a script that comes to its end: 0. If there is none: 2, or 1 for a module, as `python` has it. What
      the script raises, `SystemExit` too, is raised.
    """
    if not getattr(sys.flags, "safe_path", False):  # where `python` would put something in the first place, so do we
        sys.path[0] = os.getcwd() if as_module else os.path.dirname(os.path.realpath(command[0]))
    observation, records = Observation(logdir), os.environ.get("RANK", "0") == "0"
    if records:
        _observe_imports(observation)
    main = types.ModuleType("__main__")
    if "__annotations__" in vars(sys.modules["__main__"]):  # until Python 3.14
        main.__annotations__ = {}
    try:
        code = (_code_of_module if as_module else _code_of_script)(command[0], main)
        if code is None:
            return 1 if as_module else 2
        if records:
            atexit.register(observation.conclude)  # before any writer exists, so after they are closed
        sys.argv = [str(main.__file__) if as_module else command[0], *command[1:]]
        sys.modules["__main__"] = main
        exec(code, main.__dict__)  # noqa: S102 - what this program is for
    except BaseException:
        sys.excepthook = functools.partial(_show_without_us, sys.excepthook)
        raise
    return 0


def _code_of_script(path: str, main: types.ModuleType) -> types.CodeType | None:
    """Code of a script, after preparing its module; None if it cannot be read, which is said then."""
    absolute = os.path.abspath(path)
    try:
        with io.open_code(absolute) as file:
            source = file.read()
    except OSError as error:
        print(f"tb-gradclip: can't open file {absolute!r}: {error.strerror}", file=sys.stderr)
        return None
    vars(main).update(__file__=absolute, __cached__=None, __loader__=SourceFileLoader("__main__", absolute))
    return compile(source, absolute, "exec", dont_inherit=True)


def _code_of_module(name: str, main: types.ModuleType) -> types.CodeType | None:
    """Code of a module, or of the `__main__` of a package, after preparing its module; None if there is none."""
    spec = _spec(name)
    if spec is not None and spec.submodule_search_locations is not None:
        spec = _spec(f"{name}.__main__")
    code = spec.loader.get_code(spec.name) if spec is not None and isinstance(spec.loader, InspectLoader) else None
    if spec is None or code is None:
        print(f"tb-gradclip: No module named {name}", file=sys.stderr)
        return None
    vars(main).update(
        __file__=spec.origin, __cached__=spec.cached, __loader__=spec.loader, __package__=spec.parent, __spec__=spec
    )
    return code


def _spec(name: str) -> ModuleSpec | None:
    """Where a module is, if there is one; packages around it are imported."""
    try:
        return importlib.util.find_spec(name)
    except ModuleNotFoundError as error:
        if error.name is not None and f"{name}.".startswith(f"{error.name}."):
            return None
        raise


def _observe_imports(observation: Observation) -> None:
    """Have each framework observed once it is imported."""

    def torch() -> None:
        from tb_gradclip.torch.autowatch import install

        install(observation)

    def keras() -> None:
        from tb_gradclip.keras.autowatch import install

        install(observation)

    functions = {"torch": observation.harmless()(torch), "keras": observation.harmless()(keras)}
    sys.meta_path.insert(0, _Following(functions))


class _Following(MetaPathFinder):
    """Calls a function after the first import of a module: the loader is Python's own, its method replaced once.

    That a module is only looked for, to see if it is installed, is not its import.
    """

    def __init__(self, functions: dict[str, Callable[[], None]]) -> None:
        self._functions = functions
        self._looking = ""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """The spec that other finders give."""
        if name not in self._functions or name == self._looking:
            return None
        self._looking = name
        try:
            spec = importlib.util.find_spec(name)
        finally:
            self._looking = ""
        if spec is not None and hasattr(spec.loader, "__dict__"):
            self._follow(name, spec.loader)
        return spec

    def _follow(self, name: str, loader: Any) -> None:
        original, attributes = loader.exec_module, vars(loader)

        def exec_module(module: types.ModuleType) -> None:
            del attributes["exec_module"]
            original(module)
            self._functions.pop(name)()

        attributes["exec_module"] = exec_module


def _show_without_us(hook: Callable[..., Any], kind: type[BaseException], error: BaseException, trace: Any) -> None:
    """Show an exception that ended the script as its own hook does, without frames of ours."""
    del trace
    _hide_our_frames(error, set())
    hook(kind, error, error.__traceback__)


def _hide_our_frames(error: BaseException | None, seen: set[int]) -> None:
    """Take our frames out of the tracebacks of an exception and what led to it, but where one of ours raised it."""
    if error is None or id(error) in seen:
        return
    seen.add(id(error))
    for other in (error.__cause__, error.__context__, *getattr(error, "exceptions", ())):
        _hide_our_frames(other, seen)
    frames = []
    trace = error.__traceback__
    while trace is not None:
        frames.append(trace)
        if trace.tb_frame.f_code is run.__code__:
            frames.clear()  # what is above is the way to us
        trace = trace.tb_next
    kept = [frame for frame in frames if not frame.tb_frame.f_code.co_filename.startswith(OURS) or frame is frames[-1]]
    if kept and kept[-1].tb_frame.f_code in (_code_of_script.__code__, _code_of_module.__code__):
        kept.pop()
    rest: types.TracebackType | None = None
    for frame in reversed(kept):
        rest = types.TracebackType(rest, frame.tb_frame, frame.tb_lasti, frame.tb_lineno)
    error.__traceback__ = rest
