"""The page around the answers: whatever runs and directories are called, nothing gets out of its place."""

from __future__ import annotations

import base64
import gzip
import hashlib
import re
from html.parser import HTMLParser

import pytest

from tb_gradclip.offline import package
from tb_gradclip.offline.package import Answer
from tb_gradclip.offline.page import ELEMENT, frame_size, inline, page
from tb_gradclip.plugin.routes import BUNDLE

HOSTILE = '</script></title><img src=x onerror="alert(1)"> \'"&<!-- \u202e\ud800'


class Elements(HTMLParser):
    """What a page is made of: tags with their attributes, and the text of scripts and the title."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {"script": [], "title": []}
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1][0] in self.texts and data.strip():
            self.texts[self.tags[-1][0]].append(data)


def test_hostile_names_stay_where_they_were_put() -> None:
    answers = package.pack([Answer("runs", HOSTILE.replace("\ud800", ""), b"{}")])
    found = Elements(page(answers, "let a = 1;", HOSTILE, HOSTILE).decode())
    assert [tag for tag, _ in found.tags] == (
        [
            "html",
            "head",
            "meta",
            "meta",
            "meta",
            "meta",
            "meta",
            "link",
            "title",
            "body",
            "noscript",
            "script",
            "script",
        ]
    )
    (holder,) = [attributes for _, attributes in found.tags if attributes.get("id") == ELEMENT]
    assert holder["data-words"] == HOSTILE.replace("\ud800", "?")
    data, script = found.texts["script"]
    assert script == "let a = 1;"
    assert base64.b64decode(data) == answers


def test_the_policy_lets_this_script_run_and_nothing_else_be_loaded() -> None:
    script = "const a = 'ü </script> <!--';\r\n"
    text = page(b"", script, "", "").decode()
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', text)
    assert policy is not None
    rules = dict(rule.split(" ", 1) for rule in policy[1].split("; "))
    run = text.split('<script type="module">')[1].split("</script>")[0]
    digest = base64.b64encode(hashlib.sha256(run.encode()).digest()).decode()
    assert rules["default-src"] == "'none'"
    assert rules["script-src"] == f"'sha256-{digest}'"
    assert set(rules) == {"default-src", "script-src", "style-src", "img-src", "base-uri", "form-action"}
    assert "http:" not in policy[1]
    assert "https:" not in policy[1]


@pytest.mark.parametrize("text", ["'</script>'", "'<!--'", "/<\\/script>/", "`</SCRIPT <!-- `"])
def test_a_script_says_the_same_inline(text: str) -> None:
    written = inline(text)
    assert "</script" not in written.lower()
    assert "<!--" not in written
    assert written.replace("<\\/script", "</script").replace("<\\/SCRIPT", "</SCRIPT").replace(
        "<\\x21--", "<!--"
    ) == text.replace("<\\/script", "</script")


def test_the_dashboard_can_stand_in_a_page() -> None:
    bundle = BUNDLE.read_text(encoding="utf-8")
    assert inline(bundle) == bundle
    assert "\0" not in bundle
    assert len(page(b"", bundle, "title", "words")) <= frame_size(bundle)


def test_a_package_is_the_same_whenever_it_is_made() -> None:
    answers = [Answer("series", "a", bytes(range(64)), start=8, word=8)]
    assert package.pack(answers) == package.pack(answers)
    assert gzip.decompress(package.pack(answers)).count(b"series") == 1
