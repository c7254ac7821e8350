"""The frame of a report's page: its head with the style, and the one script, which sorts tables."""

import base64
import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.resources import files

import chaku
from chaku.report.html import Html, element

Section = tuple[str, str, object]  # anchor, title, content


def document(title: str, top: Sequence[object], sections: Sequence[Section]) -> str:
    """A whole page: `top` below its title, links to the sections, and the sections."""
    style, script = (
        files("chaku.report").joinpath(name).read_text(encoding="utf-8") for name in ("style.css", "sort.js")
    )
    script = f"\n{script}"
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    # Models write the samples. Even if one of them were not escaped, this policy loads nothing, and runs no script but
    # the one with this hash.
    policy = f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", http_equiv="Content-Security-Policy", content=policy),
        element("title", f"chaku: {title}"),
        Html(f"<style>\n{style}</style>"),
    )
    main = element(
        "main",
        element("h1", title),
        list(top),
        element("nav", [element("a", name, href=f"#{anchor}") for anchor, name, _ in sections]),
        [element("section", element("h2", name), content, id=anchor) for anchor, name, content in sections],
        element("footer", f"Written by chaku {chaku.__version__}, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC."),
    )
    body = element("body", main, Html(f"<script>{script}</script>"))
    return "<!DOCTYPE html>\n" + element("html", head, body, lang="en") + "\n"
