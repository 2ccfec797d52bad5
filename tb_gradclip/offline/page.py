"""The page around the answers: one file that opens from disk and asks nobody for anything."""

from __future__ import annotations

import base64
import hashlib
import html

ELEMENT = "gradclip-report"
"""The page's script looks for the answers in the element of this name; see `embedded.ts`."""

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; script-src '{digest}'; \
style-src 'unsafe-inline'; img-src data: blob:; base-uri 'none'; form-action 'none'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<meta name="color-scheme" content="light dark">
<link rel="icon" href="data:,">
<title>{title}</title>
</head>
<body>
<noscript>This report is drawn by a script within it, which this browser was told not to run.</noscript>
<script type="application/octet-stream+base64" id="{element}" data-words="{words}">
{data}
</script>
<script type="module">{script}</script>
</body>
</html>
"""


def page(answers: bytes, script: str, title: str, words: str) -> bytes:
    """The file.

    Args:
      answers: a package of them.
      script: the dashboard, an ES module.
      title: of the window.
      words: what the page says of itself.
    """
    script = inline(script)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    text = _PAGE.format(
        digest=f"sha256-{digest}",
        title=html.escape(title),
        element=ELEMENT,
        words=html.escape(words),
        data=base64.b64encode(answers).decode(),
        script=script,
    )
    return text.encode("utf-8", "replace")


def inline(script: str) -> str:
    r"""A script that can stand in a page: what would end it there, or begin a comment, is written differently.

    Neither occurs in code but in strings and regular expressions, where `\/` and `\x21` are the same signs.
    """
    script = script.replace("\r\n", "\n").replace("\r", "\n")
    return script.replace("</script", "<\\/script").replace("</SCRIPT", "<\\/SCRIPT").replace("<!--", "<\\x21--")


def frame_size(script: str) -> int:
    """Bytes of a page without answers."""
    return len(page(b"", script, "", "")) + 500
