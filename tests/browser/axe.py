"""What axe-core finds wrong with a page for people who cannot see it, or cannot use a mouse."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Frame, Page

SOURCE = Path(__file__).parents[2] / "frontend" / "node_modules" / "axe-core" / "axe.min.js"
GRAVE = ("serious", "critical")


def grave_findings(page: Page | Frame) -> list[str]:
    """What axe calls serious or critical, a line for each element."""
    page.evaluate(SOURCE.read_text(encoding="utf-8"))
    found = page.evaluate("() => axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{rule['id']}: {rule['help']}: {node['html'][:120]}: {node['failureSummary']}"
        for rule in found["violations"]
        if rule["impact"] in GRAVE
        for node in rule["nodes"]
    ]
