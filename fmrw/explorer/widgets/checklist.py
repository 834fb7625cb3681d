"""Check list (anywidget): boxes to check, any number of them at once, with a search; hundreds cost one widget."""

from __future__ import annotations

import anywidget
import traitlets

_SCRIPT = """
function render({ model, el }) {
  el.classList.add("fmrw-checks");
  const head = document.createElement("div");
  const search = document.createElement("input");
  search.type = "search";
  const list = document.createElement("div");
  list.className = "fmrw-checks-list";
  el.append(head, search, list);
  const fill = () => {
    const options = model.get("options"), chosen = new Set(model.get("chosen"));
    head.textContent = model.get("title");
    search.placeholder = `search ${model.get("title")}`;
    search.setAttribute("aria-label", search.placeholder);
    search.style.display = options.length > 8 ? "" : "none";
    const wanted = search.value.toLowerCase();
    list.replaceChildren(...options.filter(({ label, detail, id }) =>
      chosen.has(id) || `${label} ${detail}`.toLowerCase().includes(wanted)).map(({ id, label, detail }) => {
      const row = document.createElement("label"), box = document.createElement("input");
      box.type = "checkbox";
      box.checked = chosen.has(id);
      box.addEventListener("change", () => {
        const now = new Set(model.get("chosen"));
        box.checked ? now.add(id) : now.delete(id);
        model.set("chosen", [...now]);
        model.save_changes();
      });
      const name = document.createElement("span"), more = document.createElement("small");
      name.textContent = label;
      more.textContent = detail;
      row.title = detail ? `${label}: ${detail}` : label;
      row.append(box, name, more);
      return row;
    }));
  };
  search.addEventListener("input", fill);
  model.on("change:options change:chosen change:title", fill);
  fill();
}
export default { render };
"""

_CSS = """
.fmrw-checks { display: flex; flex-direction: column; flex: 1 1 180px; min-width: 160px; max-width: 460px; font-size: 12px; }
.fmrw-checks > div:first-child { font-weight: bold; }
.fmrw-checks-list { max-height: 130px; overflow-y: auto; }
.fmrw-checks-list label { display: block; overflow: hidden; white-space: nowrap; text-overflow: ellipsis; line-height: 18px; }
.fmrw-checks-list input { margin: 0 5px 0 1px; vertical-align: middle; }
.fmrw-checks-list small { margin-left: 6px; opacity: 0.75; }
"""


class CheckList(anywidget.AnyWidget):
    """Boxes to check.

    Attributes
    ----------
    title : str
        What is listed.
    options : list of dict
        `id`, `label`, and `detail`, which is shown smaller; all are shown as text.
    chosen : list of str
        Ids of the checked ones.
    """

    _esm = _SCRIPT
    _css = _CSS
    title = traitlets.Unicode("").tag(sync=True)
    options = traitlets.List(traitlets.Dict()).tag(sync=True)
    chosen = traitlets.List(traitlets.Unicode()).tag(sync=True)
