#!/usr/bin/env bash
# Does JupyterLab draw a chart of altair 6 whose renderer is "mimetype"?
#
# One would expect: that renderer gives the chart's Vega-Lite under a MIME type that JupyterLab draws by itself, without a network; altair's
# documentation of display frontends says so, and for altair 5 it held (application/vnd.vegalite.v5+json).
#
# What happens: altair 6 gives "application/vnd.vegalite.v6.json", with a dot before "json" instead of the plus of a structured syntax suffix. The newest type
# that JupyterLab registers is "application/vnd.vegalite.v5+json", so it finds no renderer for the chart and shows the plain text beside it. The same
# specification under the older type is drawn.
#
# Seen with: altair 6.3.0, JupyterLab 4.6.6: "altair gives: application/vnd.vegalite.v6.json", "JupyterLab draws: ... v3+json v4+json v5+json".
# Source: VEGALITE_MIME_TYPE in altair/vegalite/v6/display.py; the extension vega5-extension in JupyterLab's bundle.
#
# Exits 1 if it behaves otherwise.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check altair==6.3.0 2>/dev/null
"$work/venv/bin/pip" download -q --disable-pip-version-check --no-deps -d "$work" jupyterlab==4.6.6 2>/dev/null

"$work/venv/bin/python" - "$work"/jupyterlab-*.whl <<'PYTHON'
import re
import sys
import zipfile

import altair as alt

alt.renderers.enable("mimetype")
chart = alt.Chart({"values": [{"a": 1}]}).mark_point().encode(alt.X("a:Q"))
shown = chart._repr_mimebundle_()
data = shown[0] if isinstance(shown, tuple) else shown
given = next(kind for kind in data if "vega" in kind)

known = set()
with zipfile.ZipFile(sys.argv[1]) as wheel:
    for name in wheel.namelist():
        if name.endswith(".js"):
            known |= set(re.findall(r"application/vnd\.vegalite\.v[0-9]+[.+]json", wheel.read(name).decode(errors="replace")))

print(f"altair {alt.__version__} gives: {given}")
print(f"JupyterLab 4.6.6 draws: {' '.join(sorted(known))}")
surprising = given == "application/vnd.vegalite.v6.json" and given not in known and "application/vnd.vegalite.v5+json" in known
sys.exit(not surprising)
PYTHON
