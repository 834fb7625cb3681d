"""Rendering: a chart becomes PDF, SVG, PNG or HTML; the only module that knows vl-convert.

Three things stand between a chart and vl-convert. Every text in the specification is made `visible`, since one
control character aborts the process, beyond any `except`. Facts from the chart's `usermeta` go into the file's metadata. And
bytes are made to depend on the chart only: vl-convert writes fonts and dictionaries of a PDF in an order that changes with
every call, so qpdf (through pikepdf) writes it again in order of reference, with an identifier computed from the content.

Limits. vl-convert hangs in a forked child and fails while descriptor 0 is closed; it holds the GIL. Whoever serves reads
meanwhile renders in a spawned process (`reports` does). The first call of a process waits 0.3 s for the engine, unless `wake` was
called in time; later ones take 0.1 to 0.3 s.
Fonts are the machine's own; text of a script that no font on it covers shows as boxes, and can still be selected.
"""

from __future__ import annotations

import html as markup
import io
import json
import re
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import vl_convert

from fmrw.errors import BadChoice
from fmrw.text import visible

if TYPE_CHECKING:
    from collections.abc import Mapping

    from PIL import Image

    Chart: TypeAlias = "Drawable | dict[str, Any]"

_MOST_PIXELS = 170_000_000  # Pillow refuses pictures of 179 million
_SVG_NAME = re.compile(r'((?:id="|url\(#)(?:clip|gradient)_?)(\d+)')
_EMBED = {"actions": {"source": False, "compiled": False, "editor": False, "export": True}, "renderer": "svg"}


class Drawable(Protocol):
    """What can be drawn: a chart of altair, or a sheet of plain layers."""

    def to_dict(self, *, validate: bool) -> dict[str, Any]:
        """Give it as Vega-Lite."""


def wake() -> None:
    """Let vl-convert start its JavaScript engine in a thread of its own, and return at once.

    That takes 0.3 s of processor time, best spent on another processor while something else is done here. The first call of any
    function starts the engine; one that makes an HTML file without scripts does not wait for it.
    """
    vl_convert.vegalite_to_html({})


def warm() -> None:
    """Draw a line of text as PDF: the first drawing of a process takes 0.1 s longer than others, for fonts and to compile Vega."""
    pdf({"data": {"values": [{}]}, "mark": {"type": "text", "text": "fmrw"}})


def specification(chart: Chart) -> dict[str, Any]:
    """Give the Vega-Lite specification of a chart, every text in it harmless."""
    spec: dict[str, Any] = scrubbed(chart if isinstance(chart, dict) else chart.to_dict(validate=False))
    return spec


def scrubbed(value: Any) -> Any:  # noqa: ANN401 - JSON
    """Make every text in a JSON value visible."""
    if isinstance(value, str):
        return visible(value)
    if isinstance(value, dict):
        return {visible(str(key)): scrubbed(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [scrubbed(each) for each in value]
    return value


def facts(spec: Mapping[str, Any]) -> dict[str, str]:
    """Give the metadata a chart carries, by key."""
    carried: dict[str, str] = (spec.get("usermeta") or {}).get("fmrw", {})
    return carried


def pdf(chart: Chart) -> bytes:
    """Draw a chart as PDF, vector with selectable text. One unit of the chart is one point."""
    import pikepdf  # noqa: PLC0415 - takes 50 ms, and whoever has a PDF drawn elsewhere, or draws none, does without

    spec = specification(chart)
    drawn = vl_convert.vegalite_to_pdf(spec)
    with pikepdf.open(io.BytesIO(drawn)) as document:
        for key, text in _titled(spec).items():
            document.docinfo[f"/{key}"] = text
        out = io.BytesIO()
        document.save(
            out,
            deterministic_id=True,
            object_stream_mode=pikepdf.ObjectStreamMode.disable,
            compress_streams=True,
        )
    return out.getvalue()


def svg(chart: Chart) -> bytes:
    """Draw a chart as SVG with selectable text, UTF-8."""
    spec = specification(chart)
    drawn: str = vl_convert.vegalite_to_svg(spec)
    return _renumbered(drawn).replace(">", f">{_svg_metadata(spec)}", 1).encode()


def png(chart: Chart, *, scale: float = 2) -> bytes:
    """Draw a chart as PNG with `scale` pixels per point."""
    from PIL import PngImagePlugin  # noqa: PLC0415 - for pixels only, as below

    spec = specification(chart)
    width, height = _points(spec)
    count = int(width * scale) * int(height * scale)
    if count > _MOST_PIXELS:
        raise BadChoice(
            f"a picture of {count:,} pixels is too large; take a smaller scale, width or height, or svg or pdf"
        )
    known = PngImagePlugin.PngInfo()
    for key, text in _titled(spec).items():
        known.add_itxt(key, text)
    out = io.BytesIO()
    picture(spec, scale).save(out, "PNG", optimize=True, pnginfo=known)  # a quarter of what vl-convert writes
    return out.getvalue()


def _points(spec: Mapping[str, Any]) -> tuple[float, float]:
    """Give the width and the height of a figure of ours: its chart and what is left free around it; 0 where it says none."""
    around = spec.get("padding")
    free = around if isinstance(around, dict) else {}
    sides = ("width", "left", "right"), ("height", "top", "bottom")
    width, height = (
        sum(float(part) for part in (spec.get(size, 0), free.get(one, 0), free.get(other, 0)))
        for size, one, other in sides
    )
    return width, height


def _renumbered(drawn: str) -> str:
    """Count the names of clipping paths from 0; Vega counts on from one call to the next."""
    numbers: dict[str, int] = {}
    return _SVG_NAME.sub(lambda found: f"{found[1]}{numbers.setdefault(found[2], len(numbers))}", drawn)


def picture(spec: Mapping[str, Any], scale: float) -> Image.Image:
    """Draw a specification as pixels."""
    from PIL import Image  # noqa: PLC0415 - the same

    drawn: bytes = vl_convert.vegalite_to_png(dict(spec), scale=scale)
    with Image.open(io.BytesIO(drawn)) as pixels:
        return pixels.convert("RGB")


def pixels(drawn: bytes) -> tuple[int, int]:
    """Give width and height of a PNG, in pixels."""
    from PIL import Image  # noqa: PLC0415 - the same

    with Image.open(io.BytesIO(drawn)) as known:
        return known.size


def html(chart: Chart) -> bytes:
    """Make one HTML file that needs no network and stays interactive."""
    spec = specification(chart)
    call = f"vegaEmbed('#figure', {embedded(spec)}, {embedded(_EMBED)}).then(made => {{ window.view = made.view; }});"
    return page(call, spec)


def page(script: str, spec: Mapping[str, Any], controls: str = "") -> bytes:
    """Wrap a script, which finds `vega`, `vegaEmbed` and an element `#figure`, into a self-contained HTML file."""
    known = _titled(spec)
    background = spec.get("config", {}).get("background", "#ffffff")
    metas = "".join(
        f"<meta name={_quoted(f'fmrw:{key}')} content={_quoted(text)}>\n" for key, text in known.items()
    )
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; img-src data: blob:">
<title>{markup.escape(known["Title"])}</title>
{metas}<style>body {{ margin: 0; background: {background}; }} #figure {{ display: inline-block; }}</style>
</head>
<body>
<div id="figure"></div>
{controls}
<script>{_in_page(bundle())}</script>
<script>
{script}
</script>
</body>
</html>
""".encode()


def embedded(value: Any) -> str:  # noqa: ANN401 - JSON
    """Write JSON that may stand inside a script element: no `<` can end it or open a comment."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")


def fonts(drawn: bytes) -> list[str]:
    """Name the fonts a PDF embeds, as in "LiberationSans-Bold"."""
    found = re.findall(rb"/BaseFont\s*/(?:[A-Z]{6}\+)?([^\s/<>\[\]()]+)", drawn)
    return sorted({name.decode("latin-1") for name in found})


def bundle(script: str | None = None) -> str:
    """Give Vega, Vega-Lite and Vega-Embed as one script, or with a script that uses `vegaEmbed`; vl-convert keeps the former after the first call."""
    made: str = vl_convert.javascript_bundle(script)  # type: ignore[arg-type] # None is the default
    return made


def _in_page(script: str) -> str:
    return script.replace("</script", "<\\/script")


def _titled(spec: Mapping[str, Any]) -> dict[str, str]:
    known = facts(spec)
    description = str(spec.get("description", ""))
    title = f"{known.get('name', '')}: {description}".strip(": ") or "fmrw figure"
    named = {f"fmrw-{key}" if key != "fmrw" else "fmrw": text for key, text in known.items()}
    return {"Title": title, "Creator": f"fmrw {known.get('fmrw', '')}".strip(), **named}


def _svg_metadata(spec: Mapping[str, Any]) -> str:
    known = _titled(spec)
    items = "".join(
        f"<fmrw:fact name={_quoted(key)}>{markup.escape(text)}</fmrw:fact>" for key, text in known.items()
    )
    return f'<title>{markup.escape(known["Title"])}</title><metadata xmlns:fmrw="urn:fmrw">{items}</metadata>'


def _quoted(text: str) -> str:
    return f'"{markup.escape(text)}"'
