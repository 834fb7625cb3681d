// What the page around an explorer tells the kernel: keys, width, theme. See page_events.py.

let owner = null; // the explorer that was clicked or focused last, in this page

const typing = (element) => element?.closest?.("input:not([type=checkbox]), select, textarea, [contenteditable=true]");

function render({ model, el }) {
  const keys = new Set(model.get("known"));
  const ended = new AbortController();
  const on = (target, name, act, options = {}) =>
    target.addEventListener(name, act, { ...options, signal: ended.signal });

  const obey = (box, event) => {
    if (event.target !== document.body && typing(event.target)) {
      if (event.key === "Escape" && box.contains(event.target)) box.focus({ preventScroll: true });
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === " " && event.target.closest?.("button, input")) return; // presses what has the focus
    if (!keys.has(event.key) || event.target.closest?.(".fmrw-own-keys")) return;
    event.preventDefault();
    event.stopPropagation();
    if (event.key === model.get("go")) {
      box.querySelector(".fmrw-go input")?.focus();
      return;
    }
    model.set("pressed", { key: event.key, at: Date.now() + Math.random() });
    model.save_changes();
  };

  const watchKeys = (box) => {
    box.tabIndex = 0;
    box.style.outline = "none";
    box.dataset.lmSuppressShortcuts = "true";
    on(box, "keydown", (event) => obey(box, event));
    on(document, "pointerdown", (event) => {
      if (box.contains(event.target)) {
        owner = box;
        if (!typing(event.target) && !event.target.closest("button, label")) box.focus({ preventScroll: true });
      } else if (owner === box) owner = null;
    }, { capture: true });
    on(document, "focusin", (event) => {
      if (box.contains(event.target)) owner = box;
      else if (owner === box && typing(event.target)) owner = null;
    }, { capture: true });
    // A key that comes when the focus has been lost from inside the box, or was taken by the notebook around it
    on(window, "keydown", (event) => {
      if (owner !== box || !box.isConnected || box.contains(event.target)) return;
      if (event.target === document.body || event.target.contains?.(box)) {
        box.focus({ preventScroll: true });
        event.stopImmediatePropagation();
        obey(box, event);
        if (event.key.length === 1 && !event.ctrlKey && !event.metaKey && !event.altKey) event.preventDefault();
      } else owner = null;
    }, { capture: true });
  };

  const watchWheel = (box) =>
    on(box, "wheel", (event) => {
      if (event.ctrlKey && event.target.closest("canvas, .fmrw-chart")) event.preventDefault();
    }, { passive: false, capture: true });

  let timer;
  const measured = (width) => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      if (width > 0 && Math.abs(width - model.get("width")) > 8) {
        model.set("width", Math.round(width));
        model.save_changes();
      }
    }, model.get("width") === 0 ? 0 : 300);
  };

  const watchTheme = () => {
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
    const watcher = new MutationObserver(themed);
    watcher.observe(document.body, { attributes: true });
    ended.signal.addEventListener("abort", () => watcher.disconnect());
  };

  const begin = (tries) => {
    const box = el.closest(`.${model.get("inside")}`);
    if (box === null) {
      if (tries > 0) requestAnimationFrame(() => begin(tries - 1));
      return;
    }
    watchKeys(box);
    watchWheel(box);
    watchTheme();
    measured(box.parentElement.clientWidth);
    const sizes = new ResizeObserver((seen) => measured(seen[0].contentRect.width));
    sizes.observe(box.parentElement);
    ended.signal.addEventListener("abort", () => sizes.disconnect());
  };
  begin(600);
  return () => {
    ended.abort();
    if (owner && !owner.isConnected) owner = null;
  };
}

export default { render };
