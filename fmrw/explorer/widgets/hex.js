// The hex view: rows of bytes of which only those in sight, and a page before and after, are asked for. See hex.py.

const INSPECT_MS = 120; // that a selection rests before its values are asked for
const MOST = 8192n; // bytes that are given at once (byterows.py)

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

// The line of tools; `acts` says what each does
function toolbar(model, on, acts) {
  const bar = make("div", "fmrw-hex-bar");
  const field = (name) => {
    const made = make("input", "");
    made.placeholder = name;
    made.setAttribute("aria-label", name);
    return made;
  };
  const select = (name, values) => {
    const made = make("select", "");
    made.title = name;
    made.setAttribute("aria-label", name);
    made.append(...values.map((value) => new Option(value, value)));
    return made;
  };
  const button = (text, title, act) => {
    const made = make("button", "", text);
    made.title = title;
    made.type = "button";
    on(made, "click", act);
    return made;
  };
  const search = field("find text or bytes"), part = field("jump to part");
  search.type = "search";
  const kind = select("what to find", model.get("kinds")), copyAs = select("copy as", model.get("copies"));
  const offers = make("datalist", "");
  offers.id = `fmrw-parts-${Math.random().toString(36).slice(2)}`;
  part.setAttribute("list", offers.id);
  const find = (back) => acts.find({ text: search.value, kind: kind.value, back });
  const copy = () => acts.copy(copyAs.value);
  bar.append(search, kind, button("◀", "find before (Shift and Enter)", () => find(true)),
    button("▶", "find next (Enter)", () => find(false)), part, offers, copyAs,
    button("copy", "copy the selected bytes (Ctrl and C)", copy),
    button("zoom", "show the selected bytes in the chart", acts.zoom));
  on(search, "keydown", (event) => event.key === "Enter" && find(event.shiftKey));
  on(part, "focus", () => acts.parts(""));
  on(part, "input", () => {
    const known = [...offers.children].find((each) => each.value === part.value);
    if (known) {
      acts.jump(known.dataset);
      part.value = "";
    } else acts.parts(part.value);
  });
  const offer = (parts) => offers.replaceChildren(...parts.map(([start, end, depth, name]) => {
    const made = new Option(`${"  ".repeat(depth)}${name}  0x${BigInt(start).toString(16)}`);
    made.value = `${name}  0x${BigInt(start).toString(16)}`;
    made.dataset.start = start;
    made.dataset.end = end;
    return made;
  }));
  return { bar, copy, offer };
}

function paint(el, legend, look) {
  for (const name of ["paper", "ink", "faint", "accent"]) el.style.setProperty(`--fmrw-${name}`, look[name]);
  legend.replaceChildren(...look.legend.map(([colour, label]) => {
    const entry = make("span", "", label);
    if (!colour) return entry;
    const swatch = make("i", "");
    swatch.style.background = colour;
    entry.prepend(swatch);
    return entry;
  }));
}

function inspected(values, { about, values: found }) {
  const grid = make("div", "fmrw-hex-grid");
  grid.append(...["", "little-endian", "big-endian"].map((text) => make("b", "", text)));
  for (const [name, little, big] of found)
    grid.append(make("span", "d", name), make("span", "", little), make("span", "", big));
  values.replaceChildren(make("div", "fmrw-hex-about", about), grid);
}

// Where a key moves the cursor to; undefined for other keys
function moved(event, cursor, line, page, size) {
  return { ArrowLeft: cursor - 1n, ArrowRight: cursor + 1n, ArrowUp: cursor - line, ArrowDown: cursor + line,
    PageUp: cursor - page, PageDown: cursor + page, Home: event.ctrlKey ? 0n : cursor - (cursor % line),
    End: event.ctrlKey ? size - 1n : cursor - (cursor % line) + line - 1n }[event.key];
}

function render({ model, el }) {
  el.classList.add("fmrw-hex");
  const ended = new AbortController();
  const on = (target, name, act, options = {}) =>
    target.addEventListener(name, act, { ...options, signal: ended.signal });
  const legend = make("div", "fmrw-hex-legend"), scroller = make("div", "fmrw-hex-scroll");
  scroller.tabIndex = 0;
  const spacer = make("div", "fmrw-hex-space"), place = make("div", "fmrw-hex-rows");
  scroller.append(spacer, place);
  const values = make("div", "fmrw-hex-values", "Select bytes: their values as numbers, times and text stand here.");
  const told = make("div", "fmrw-hex-told");
  told.setAttribute("role", "status");

  const questions = new Questions(model), selection = new Selection(), rows = new Rows(place);
  const sight = new Sight(model, scroller, spacer);
  let block = null; // the newest answer, which may reach further than what is in sight
  let asked = ""; // for which sight

  const draw = () => {
    const { top, width } = sight, begun = block === null ? -1n : top - block.start;
    if (begun < 0n || begun % BigInt(width)) return; // an answer for it is on its way
    const selected = selection.within(top);
    rows.draw(block, { from: top, count: sight.fit + 2, width, digits: sight.digits, look: model.get("look"), selected });
  };
  const askRows = () => {
    const { top, page } = sight, spare = 3n * page > MOST ? 0n : page;
    if (!questions.pending) asked = `${top} ${page}`;
    questions.rows(top < spare ? 0n : top - spare, top + page + spare);
  };
  // Whether all bytes are there that the file has between two offsets
  const holds = (start, end) => block !== null && !block.reason && (start < 0n ? 0n : start) >= block.start
    && (end < sight.size ? end : sight.size) <= block.start + BigInt(block.content.length);
  const here = () => holds(sight.top, sight.top + sight.page);
  // Draw at once what is there, and have more brought where the end of that is near
  const follow = () => {
    const { top, page } = sight;
    if (here()) draw();
    if (!holds(top - page / 2n, top + page + page / 2n)) askRows();
  };
  const scrollTo = (row) => { sight.to(row); follow(); };

  let inspecting;
  const inspectSoon = () => {
    clearTimeout(inspecting);
    inspecting = setTimeout(() => {
      if (questions.pending) inspectSoon(); // rows first: a recording may be large, and somebody may be paging
      else questions.ask("inspect", { at: String(selection.first), end: String(selection.end) });
    }, INSPECT_MS);
  };
  const chosen = () => {
    selection.used = true;
    if (here() || !questions.pending) draw(); // else rows are on their way, which are drawn with the selection
    inspectSoon();
  };
  const choose = ({ start, end }, above = 0) => {
    selection.of(start, end);
    scrollTo(Math.max(sight.rowOf(start) - above, 0));
    chosen();
  };
  const move = (to, extend) => {
    const end = sight.size - 1n;
    selection.cursor = to < 0n ? 0n : to > end ? end : to;
    if (!extend) selection.anchor = selection.cursor;
    const at = sight.rowOf(selection.cursor);
    if (at < sight.row) scrollTo(at);
    else if (at >= sight.row + sight.sure) scrollTo(at - sight.sure + 1);
    chosen();
  };

  const tools = toolbar(model, on, {
    find: (wanted) => {
      const from = wanted.back ? selection.first : selection.used ? selection.first + 1n : sight.top;
      questions.ask("find", { ...wanted, from: String(from) });
    },
    copy: (kind) => questions.ask("copy", { ...selection.range, as: kind }),
    zoom: () => questions.ask("show", selection.range),
    parts: (search) => questions.ask("parts", { search }),
    jump: (part) => choose(part),
  });
  el.append(tools.bar, legend, scroller, told, values);
  pointer({ on, place, scroller, sight, selection, chosen, scrollTo, follow,
    offset: (target) => {
      const at = target?.closest?.("[data-at]")?.dataset.at;
      return at === undefined || rows.start === null ? null : rows.start + BigInt(at);
    } });
  on(scroller, "keydown", (event) => {
    const line = BigInt(sight.width), page = line * BigInt(Math.max(sight.fit - 1, 1));
    const to = moved(event, selection.cursor, line, page, sight.size);
    if ((event.ctrlKey || event.metaKey) && event.key === "c") tools.copy();
    else if (to !== undefined) move(to, event.shiftKey);
    else return;
    event.preventDefault();
    event.stopPropagation();
  });

  const answers = {
    rows: (answer, buffers) => {
      block = blockOf(answer, buffers);
      const meant = asked === `${sight.top} ${sight.page}`; // also where the file is shorter than was recorded
      questions.pending = false;
      if (meant || here()) draw();
      if (questions.wished || !meant) askRows();
    },
    inspect: (answer) => inspected(values, answer),
    copy: (answer) => toClipboard(answer.text),
    select: (answer) => choose(answer, 2),
    parts: (answer) => tools.offer(answer.parts),
  };
  return connect(model, ended, scroller, {
    answer: (answer, buffers) => answers[answer.ask]?.(answer, buffers),
    colours: () => paint(el, legend, model.get("look")),
    tell: () => { told.textContent = model.get("told"); },
    go: () => sight.to(sight.rowOf(model.get("at"))),
    spread: () => sight.spread(),
    measure: () => { sight.measure(); sight.spread(); sight.to(sight.row); },
    follow,
    askRows,
  });
}

// What the pointer does over the rows
function pointer({ on, place, scroller, sight, selection, chosen, scrollTo, follow, offset }) {
  on(scroller, "scroll", () => { if (sight.scrolled()) follow(); });
  on(scroller, "wheel", (event) => {
    if (event.ctrlKey || sight.exact) return;
    event.preventDefault(); // a pixel would be thousands of rows
    scrollTo(sight.row + Math.sign(event.deltaY) * 3);
  }, { passive: false });
  on(place, "pointerdown", (event) => {
    const at = offset(event.target);
    if (at === null) return;
    event.preventDefault();
    scroller.focus({ preventScroll: true });
    selection.cursor = at;
    if (!event.shiftKey) selection.anchor = at;
    chosen();
  });
  on(place, "pointermove", (event) => {
    const at = event.buttons & 1 ? offset(event.target) : null;
    if (at === null || at === selection.cursor) return;
    selection.cursor = at;
    chosen();
  });
}

// Follow the model and the room there is; a step changes several traits at once, and asks for rows once
function connect(model, ended, scroller, acts) {
  let due = false, moves = true;
  const changed = () => {
    if (due) return;
    due = true;
    queueMicrotask(() => {
      due = false;
      if (ended.signal.aborted) return;
      acts.spread();
      if (moves) acts.go();
      moves = false;
      acts.askRows();
    });
  };
  const went = () => { moves = true; changed(); };
  const sizes = new ResizeObserver(() => { acts.measure(); if (moves) changed(); else acts.follow(); });
  const heard = { "msg:custom": acts.answer, "change:version change:size": changed, "change:at": went,
    "change:look": acts.colours, "change:told": acts.tell };
  for (const [name, act] of Object.entries(heard)) model.on(name, act);
  acts.tell();
  acts.colours();
  sizes.observe(scroller); // which says at once, and the first time, how much room there is
  return () => {
    ended.abort();
    sizes.disconnect();
    for (const [name, act] of Object.entries(heard)) model.off(name, act);
  };
}

export default { render };
