"""What TensorBoard finds by entry point.

An exception while this module is imported, or in a hook, can keep the whole of TensorBoard from starting. So it imports
nothing but the plugin interface, and every hook either cannot fail or says why it gave up.
"""

from __future__ import annotations

import logging
from typing import Any

from tensorboard.plugins.base_plugin import TBContext, TBLoader, TBPlugin

logger = logging.getLogger(__name__)


class GradClipLoader(TBLoader):  # type: ignore[misc]  # TensorBoard ships no types
    """Makes the plugin, and asks TensorBoard's loaders to keep all of its records."""

    def fix_flags(self, flags: Any) -> None:
        """Keep every record of ours in memory unless the user's `--samples_per_plugin` says otherwise."""
        try:
            flags.samples_per_plugin.setdefault("gradclip", 0)
        except Exception:
            logger.warning("gradclip could not ask for all of its records; sharded tags keep them", exc_info=True)

    def load(self, context: TBContext) -> TBPlugin | None:
        """The plugin, or None with a line in the log if it cannot be made."""
        try:
            from tb_gradclip.plugin.memory import give_back_what_is_freed
            from tb_gradclip.plugin.routes import GradClipPlugin

            give_back_what_is_freed()
            return GradClipPlugin(context)
        except Exception:
            logger.exception("gradclip is not available")
            return None
