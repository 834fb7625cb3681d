"""Page events: what the page around a container tells the kernel; keys pressed in it, its width, and the page's theme.

While the container has the focus, the notebook's own shortcuts rest.
"""

from __future__ import annotations

import anywidget
import traitlets

from fmrw.explorer.shortcuts import SHORTCUTS

INSIDE = "fmrw-explorer"
"""CSS class of the widget whose keys are meant."""

_SCRIPT = """
function render({ model, el }) {
  const keys = new Set(model.get("known"));
  const pressed = (event) => {
    if (event.target.closest("input, select, textarea") || event.ctrlKey || event.metaKey || event.altKey) return;
    if (!keys.has(event.key)) return;
    event.preventDefault();
    event.stopPropagation();
    model.set("pressed", { key: event.key, at: Date.now() + Math.random() });
    model.save_changes();
  };
  let timer, watcher;
  const measured = (width) => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      if (width > 0 && Math.abs(width - model.get("width")) > 8) {
        model.set("width", Math.round(width));
        model.save_changes();
      }
    }, model.get("width") === 0 ? 0 : 300);
  };
  const begin = (tries) => {
    const box = el.closest(".INSIDE");
    if (box === null) {
      if (tries > 0) requestAnimationFrame(() => begin(tries - 1));
      return;
    }
    box.tabIndex = 0;
    box.style.outline = "none";
    box.dataset.lmSuppressShortcuts = "true";
    box.addEventListener("keydown", pressed);
    const themed = () => {
      const { jpThemeLight, vscodeThemeKind } = document.body.dataset;
      const dark = jpThemeLight === "false" || (vscodeThemeKind ?? "").includes("dark");
      const theme = dark ? "dark" : "light";
      if (model.get("theme") !== theme) {
        model.set("theme", theme);
        model.save_changes();
      }
    };
    themed();
    watcher = new MutationObserver(themed);
    watcher.observe(document.body, { attributes: true });
    measured(box.parentElement.clientWidth);
    new ResizeObserver((seen) => measured(seen[0].contentRect.width)).observe(box.parentElement);
  };
  begin(600);
  return () => watcher?.disconnect();
}
export default { render };
"""


class PageEvents(anywidget.AnyWidget):
    """An invisible widget; put it anywhere inside a container of the class `INSIDE`.

    Attributes
    ----------
    pressed : dict
        `key`, and `at`, a number that differs each time.
    width : int
        Room for the container in pixels; 0 until a browser has shown it.
    theme : str
        "light" or "dark", as the page is; "" until a browser has shown it.
    """

    _esm = _SCRIPT.replace("INSIDE", INSIDE)
    known = traitlets.List(traitlets.Unicode(), list(SHORTCUTS)).tag(sync=True)
    pressed = traitlets.Dict().tag(sync=True)
    width = traitlets.Int(0).tag(sync=True)
    theme = traitlets.Unicode("").tag(sync=True)
