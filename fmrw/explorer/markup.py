"""Markup: text from recordings and files as HTML."""

from __future__ import annotations

import html

from fmrw.text import visible


def escaped(text: str) -> str:
    """Make any text harmless in HTML."""
    return html.escape(visible(text))
