// The hex view: rows of bytes of which only those in sight are asked for. See hex.py.

const INSPECT_MS = 120; // that a selection rests before its values are asked for
const ROW = 18, TALLEST = 4_000_000; // pixels of a row, and of what scrolls; longer files scroll by their share

const make = (kind, style, text = "") => {
  const made = document.createElement(kind);
  made.className = style;
  made.textContent = text;
  return made;
};

const printable = (byte) => (byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : "·");

async function toClipboard(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = document.createElement("textarea"); // pages without https, and refused permission
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
}

function render({ model, el }) {
  el.classList.add("fmrw-hex");
  const ended = new AbortController();
  const on = (target, name, act, options = {}) =>
    target.addEventListener(name, act, { ...options, signal: ended.signal });

  // Tools
  const bar = make("div", "fmrw-hex-bar");
  const search = make("input", "");
  search.type = "search";
  search.placeholder = "find text or bytes";
  search.setAttribute("aria-label", "find text or bytes");
  const select = (name, values) => {
    const made = make("select", "");
    made.title = name;
    made.setAttribute("aria-label", name);
    made.append(...values.map((value) => new Option(value, value)));
    return made;
  };
  const kind = select("what to find", model.get("kinds"));
  const button = (text, title, act) => {
    const made = make("button", "", text);
    made.title = title;
    made.type = "button";
    on(made, "click", act);
    return made;
  };
  const find = (back) => {
    const from = back ? first(selection) : selection.used ? first(selection) + 1n : top();
    ask("find", { text: search.value, kind: kind.value, from: String(from), back });
  };
  const part = make("input", "");
  part.placeholder = "jump to part";
  part.setAttribute("aria-label", "jump to part");
  const offers = make("datalist", "");
  offers.id = `fmrw-parts-${Math.random().toString(36).slice(2)}`;
  part.setAttribute("list", offers.id);
  const copyAs = select("copy as", model.get("copies"));
  const copy = () => ask("copy", { start: String(first(selection)), end: String(last(selection)), as: copyAs.value });
  bar.append(search, kind, button("◀", "find before (Shift and Enter)", () => find(true)),
    button("▶", "find next (Enter)", () => find(false)), part, offers, copyAs,
    button("copy", "copy the selected bytes (Ctrl and C)", copy),
    button("zoom", "show the selected bytes in the chart", () =>
      ask("show", { start: String(first(selection)), end: String(last(selection)) })));
  on(search, "keydown", (event) => event.key === "Enter" && find(event.shiftKey));

  // Rows
  const legend = make("div", "fmrw-hex-legend");
  const scroller = make("div", "fmrw-hex-scroll");
  scroller.tabIndex = 0;
  const spacer = make("div", "fmrw-hex-space");
  const rows = make("div", "fmrw-hex-rows");
  scroller.append(spacer, rows);
  const values = make("div", "fmrw-hex-values", "Select bytes: their values as numbers, times and text stand here.");
  const told = make("div", "fmrw-hex-told");
  told.setAttribute("role", "status");
  el.append(bar, legend, scroller, told, values);

  let width = 16, row = 0, number = 0, shown = null, pending = false, wanted = false, expected = -1;
  const selection = { anchor: 0n, cursor: 0n, used: false };
  const first = ({ anchor, cursor }) => (anchor < cursor ? anchor : cursor);
  const last = ({ anchor, cursor }) => (anchor < cursor ? cursor : anchor) + 1n;
  const size = () => BigInt(model.get("size"));
  const total = () => Number((size() + BigInt(width) - 1n) / BigInt(width));
  const fit = () => Math.max(1, Math.floor(scroller.clientHeight / ROW));
  // Rows with names are higher: so many are in sight even if all have some, and the last one can be scrolled to
  const sure = () => Math.max(1, Math.floor(fit() * 0.58));
  const furthest = () => Math.max(0, total() - sure());
  const exact = () => furthest() * ROW <= TALLEST;
  const height = () => Math.min(furthest() * ROW, TALLEST) + scroller.clientHeight;
  const top = () => BigInt(row) * BigInt(width);
  const ask = (what, more) => model.send({ ask: what, number: ++number, ...more });

  const scrollTo = (to) => {
    row = Math.min(Math.max(to, 0), furthest());
    const range = height() - scroller.clientHeight;
    expected = Math.round(furthest() ? (row / furthest()) * range : 0);
    if (exact()) expected = Math.min(row * ROW, range);
    scroller.scrollTop = expected;
    askRows();
  };
  on(scroller, "scroll", () => {
    if (Math.abs(scroller.scrollTop - expected) < 2) return; // our own doing
    expected = scroller.scrollTop;
    const range = height() - scroller.clientHeight;
    row = exact() ? Math.min(Math.round(scroller.scrollTop / ROW), furthest())
      : Math.round((scroller.scrollTop / Math.max(range, 1)) * furthest());
    askRows();
  });
  on(scroller, "wheel", (event) => {
    if (event.ctrlKey || exact()) return;
    event.preventDefault(); // a pixel would be thousands of rows
    scrollTo(row + Math.sign(event.deltaY) * 3);
  }, { passive: false });

  // One question at a time: while an answer is on its way, only the newest wish is remembered
  const askRows = () => {
    if (pending) { wanted = true; return; }
    pending = true;
    ask("rows", { start: String(top()), end: String(top() + BigInt((fit() + 2) * width)) });
  };

  const draw = () => {
    if (shown === null) return;
    const { start, content, reads, writes, parts, marks, reason } = shown;
    const look = model.get("look");
    rows.dataset.asked = shown.number;
    if (reason) {
      rows.replaceChildren(make("div", "fmrw-hex-reason", reason));
      return;
    }
    const begins = new Map();
    for (const [offset, depth, name] of parts) {
      const at = Number(offset);
      begins.set(at, [...(begins.get(at) ?? []), name]);
    }
    const marked = (at) => marks.find(([from, to]) => Number(from) <= at && at < Number(to));
    const digits = Math.max(8, size().toString(16).length);
    const low = first(selection) - start, high = last(selection) - start;
    const made = [];
    for (let at = 0; at < content.length; at += width) {
      const line = make("div", "fmrw-hex-row");
      const end = Math.min(at + width, content.length);
      const names = [];
      for (let byte = at; byte < end; byte++) if (begins.has(byte)) names.push([byte - at, begins.get(byte)]);
      if (names.length) line.append(above(names, digits));
      line.append(make("span", "fmrw-hex-offset", (start + BigInt(at)).toString(16).padStart(digits, "0")));
      const hex = make("span", "fmrw-hex-bytes"), text = make("span", "fmrw-hex-text");
      for (let byte = at; byte < end; byte++) {
        const [back, ink] = reads[byte] ? look.read[reads[byte] - 1] : [look.untouched, look.faint];
        const under = writes[byte] ? look.write[writes[byte] - 1] : "";
        const mark = marked(byte);
        for (const [place, shownText] of [[hex, content[byte].toString(16).padStart(2, "0")], [text, printable(content[byte])]]) {
          const cell = make("span", "", shownText);
          cell.dataset.at = byte;
          cell.style.background = back;
          cell.style.color = ink;
          if (under) cell.style.boxShadow = `inset 0 -3px 0 ${under}`;
          if (!reads[byte] && !under) cell.classList.add("n");
          if (begins.has(byte)) cell.classList.add("b");
          if (mark) { cell.classList.add("m"); cell.title = mark[2]; }
          if (selection.used && byte >= low && byte < high) cell.classList.add("s");
          place.append(cell);
        }
      }
      hex.style.width = `${width * 3}ch`;
      line.append(hex, text);
      made.push(line);
    }
    rows.replaceChildren(...made);
    rows.dataset.start = String(start);
  };

  // Names stand above the row, each where its part begins, and give way to the next
  const above = (names, digits) => {
    const line = make("div", "fmrw-hex-names");
    names.forEach(([column, own], place) => {
      const room = ((names[place + 1]?.[0] ?? width + 6) - column) * 3;
      const name = make("span", "", own.join(" › "));
      name.title = own.join(" › ");
      name.style.left = `${digits + 2 + column * 3}ch`;
      name.style.maxWidth = `${room}ch`;
      line.append(name);
    });
    return line;
  };

  const spread = () => {
    const letter = 7.3, room = scroller.clientWidth - 6;
    const digits = Math.max(8, size().toString(16).length);
    const before = width;
    width = [16, 8, 4].find((each) => (digits + 3 + each * 4) * letter <= room) ?? 4;
    spacer.style.height = `${height()}px`;
    if (before !== width) row = Math.floor((row * before) / width);
  };
  const colours = () => {
    const look = model.get("look");
    el.style.setProperty("--fmrw-paper", look.paper);
    el.style.setProperty("--fmrw-ink", look.ink);
    el.style.setProperty("--fmrw-faint", look.faint);
    el.style.setProperty("--fmrw-accent", look.accent);
    legend.replaceChildren(...look.legend.map(([colour, label]) => {
      const entry = make("span", "", label);
      if (!colour) return entry;
      const swatch = make("i", "");
      swatch.style.background = colour;
      entry.prepend(swatch);
      return entry;
    }));
  };
  const refresh = () => { spread(); colours(); askRows(); };

  // Selecting
  const offsetOf = (target) => {
    const at = target?.closest?.("[data-at]")?.dataset.at;
    return at === undefined || shown === null ? null : shown.start + BigInt(at);
  };
  let inspecting;
  const inspectSoon = () => {
    clearTimeout(inspecting);
    inspecting = setTimeout(() => {
      if (pending) inspectSoon(); // rows first: a recording may be large, and somebody may be paging
      else ask("inspect", { at: String(first(selection)), end: String(last(selection)) });
    }, INSPECT_MS);
  };
  const chosen = () => {
    selection.used = true;
    if (!pending) draw(); // else rows are on their way, which are drawn with the selection
    inspectSoon();
  };
  const move = (to, extend) => {
    const end = size() - 1n;
    selection.cursor = to < 0n ? 0n : to > end ? end : to;
    if (!extend) selection.anchor = selection.cursor;
    const at = Number(selection.cursor / BigInt(width));
    if (at < row) scrollTo(at);
    else if (at >= row + sure()) scrollTo(at - sure() + 1);
    chosen();
  };
  on(rows, "pointerdown", (event) => {
    const at = offsetOf(event.target);
    if (at === null) return;
    event.preventDefault();
    scroller.focus({ preventScroll: true });
    selection.cursor = at;
    if (!event.shiftKey) selection.anchor = at;
    chosen();
  });
  on(rows, "pointermove", (event) => {
    const at = event.buttons & 1 ? offsetOf(event.target) : null;
    if (at === null || at === selection.cursor) return;
    selection.cursor = at;
    chosen();
  });
  on(scroller, "keydown", (event) => {
    const line = BigInt(width), page = line * BigInt(Math.max(fit() - 1, 1)), { cursor } = selection;
    const ways = { ArrowLeft: cursor - 1n, ArrowRight: cursor + 1n, ArrowUp: cursor - line, ArrowDown: cursor + line,
      PageUp: cursor - page, PageDown: cursor + page, Home: event.ctrlKey ? 0n : cursor - (cursor % line),
      End: event.ctrlKey ? size() - 1n : cursor - (cursor % line) + line - 1n };
    if ((event.ctrlKey || event.metaKey) && event.key === "c") copy();
    else if (event.key in ways) move(ways[event.key], event.shiftKey);
    else return;
    event.preventDefault();
    event.stopPropagation();
  });

  // Jumping to a part
  on(part, "focus", () => ask("parts", { search: "" }));
  on(part, "input", () => {
    const known = [...offers.children].find((each) => each.value === part.value);
    if (known) {
      const { start, end } = known.dataset;
      selection.cursor = BigInt(start);
      selection.anchor = BigInt(end) - 1n;
      scrollTo(Number(BigInt(start) / BigInt(width)));
      chosen();
      part.value = "";
    } else ask("parts", { search: part.value });
  });

  const inspected = (answer) => {
    const grid = make("div", "fmrw-hex-grid");
    grid.append(...["", "little-endian", "big-endian"].map((text) => make("b", "", text)));
    for (const [name, little, big] of answer.values)
      grid.append(make("span", "d", name), make("span", "", little), make("span", "", big));
    values.replaceChildren(make("div", "fmrw-hex-about", answer.about), grid);
  };
  const answered = (answer, buffers) => {
    if (answer.ask === "rows") {
      const bytes = buffers.map((each) => new Uint8Array(each.buffer ?? each, each.byteOffset ?? 0, each.byteLength));
      shown = { ...answer, start: BigInt(answer.start), content: bytes[0], reads: bytes[1], writes: bytes[2] };
      pending = false;
      draw();
      if (wanted) { wanted = false; askRows(); }
    } else if (answer.ask === "inspect") inspected(answer);
    else if (answer.ask === "copy") toClipboard(answer.text);
    else if (answer.ask === "select") {
      selection.cursor = BigInt(answer.start);
      selection.anchor = BigInt(answer.end) - 1n;
      scrollTo(Math.max(Number(BigInt(answer.start) / BigInt(width)) - 2, 0));
      chosen();
    } else if (answer.ask === "parts")
      offers.replaceChildren(...answer.parts.map(([start, end, depth, name]) => {
        const offer = new Option(`${"  ".repeat(depth)}${name}  0x${BigInt(start).toString(16)}`);
        offer.value = `${name}  0x${BigInt(start).toString(16)}`;
        offer.dataset.start = start;
        offer.dataset.end = end;
        return offer;
      }));
  };
  model.on("msg:custom", answered);
  model.on("change:version change:size", refresh);
  const go = () => scrollTo(Number(BigInt(model.get("at")) / BigInt(width)));
  model.on("change:at", go);
  const say = () => { told.textContent = model.get("told"); };
  model.on("change:told", say);
  say();
  colours();
  const sizes = new ResizeObserver(() => { spread(); scrollTo(row); });
  sizes.observe(scroller);
  spread();
  go();
  return () => {
    ended.abort();
    sizes.disconnect();
    model.off("msg:custom", answered);
    model.off("change:version change:size", refresh);
    model.off("change:at", go);
    model.off("change:told", say);
  };
}

export default { render };
