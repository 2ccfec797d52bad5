"""TensorBoard without our plugin, or with one that cannot be imported: `without`, `broken`, `lacks`, and arguments.

With `lacks` come names of modules with commas between, which no module of ours can import, though TensorBoard can.
"""

from __future__ import annotations

import builtins
import importlib.abc
import sys
from typing import Any


class Broken(importlib.abc.MetaPathFinder):
    """Raises where the plugin's routes are imported."""

    def find_spec(self, name: str, *_: Any) -> None:
        if name == "tb_gradclip.plugin.routes":
            raise RuntimeError("injected")


def take_from_us(lacking: set[str]) -> None:
    """Refuse these modules, and all in them, to whatever of ours imports them."""
    found = builtins.__import__

    def refusing(name: str, globals: Any = None, *others: Any, **more: Any) -> Any:
        ours = str((globals or {}).get("__name__", "")).partition(".")[0] == "tb_gradclip"
        if ours and any(f"{name}.".startswith(f"{one}.") for one in lacking):
            raise ModuleNotFoundError(f"no module named {name}: injected", name=name)
        return found(name, globals, *others, **more)

    builtins.__import__ = refusing


if __name__ == "__main__":
    from tensorboard import default
    from tensorboard.main import run_main

    how = sys.argv.pop(1)
    if how == "without":
        found = default.get_dynamic_plugins
        default.get_dynamic_plugins = lambda: [plugin for plugin in found() if "gradclip" not in repr(plugin).lower()]
    elif how == "lacks":
        take_from_us(set(sys.argv.pop(1).split(",")))
    else:
        sys.meta_path.insert(0, Broken())
    run_main()
