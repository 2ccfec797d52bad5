"""TensorBoard without our plugin, or with one that cannot be imported: `without` or `broken`, then its arguments."""

from __future__ import annotations

import importlib.abc
import sys
from typing import Any


class Broken(importlib.abc.MetaPathFinder):
    """Raises where the plugin's routes are imported."""

    def find_spec(self, name: str, *_: Any) -> None:
        if name == "tb_gradclip.plugin.routes":
            raise RuntimeError("injected")


if __name__ == "__main__":
    from tensorboard import default
    from tensorboard.main import run_main

    if sys.argv.pop(1) == "without":
        found = default.get_dynamic_plugins
        default.get_dynamic_plugins = lambda: [plugin for plugin in found() if "gradclip" not in repr(plugin).lower()]
    else:
        sys.meta_path.insert(0, Broken())
    run_main()
