// The page that an explorer exports: its picture, which zooms as a map does, and a strip of the window that shows finer bins when it is zoomed.
// SPEC and LEVELS are defined by export.py; `vegaEmbed` stands above. See levels.py.

function map(svg) {
  const whole = [0, 0, +svg.getAttribute("width"), +svg.getAttribute("height")];
  let box = [...whole];
  svg.removeAttribute("width");
  svg.removeAttribute("height");
  const show = () => svg.setAttribute("viewBox", box.join(" "));
  const place = (event) => {
    const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
    return [at.x, at.y];
  };
  const zoom = (factor, [x, y]) => {
    const width = Math.min(Math.max(box[2] * factor, whole[2] / 400), whole[2]), by = width / box[2];
    box = [x - (x - box[0]) * by, y - (y - box[1]) * by, width, box[3] * by];
    if (width === whole[2]) box = [...whole];
    show();
  };
  let held = null;
  svg.addEventListener("wheel", (event) => { event.preventDefault(); zoom(event.deltaY > 0 ? 1.25 : 0.8, place(event)); }, { passive: false });
  svg.addEventListener("pointerdown", (event) => { held = place(event); svg.setPointerCapture(event.pointerId); });
  svg.addEventListener("pointermove", (event) => {
    if (!held) return;
    const [x, y] = place(event);
    box = [box[0] + held[0] - x, box[1] + held[1] - y, box[2], box[3]];
    show();
  });
  svg.addEventListener("pointerup", () => { held = null; });
  svg.addEventListener("dblclick", () => { box = [...whole]; show(); });
  addEventListener("keydown", ({ key, ctrlKey, metaKey, altKey }) => {
    if (ctrlKey || metaKey || altKey) return; // the browser's own zoom
    if (key === "0") { box = [...whole]; show(); }
    if (key === "+" || key === "-") zoom(key === "-" ? 1.25 : 0.8, [box[0] + box[2] / 2, box[1] + box[3] / 2]);
  });
  show();
}

const LEFT = 46, RIGHT = 8, BELOW = 20; // pixels around the strip: names, edge, offsets

// What is seen are shares of the window, from `low` on, `wide` of it; offsets are exact, since they are BigInt.
function strip(canvas, told, given) {
  const { levels, rows, colours } = given, start = BigInt(given.start), length = BigInt(given.length);
  if (!levels.length) return;
  const most = Number(length), pen = canvas.getContext("2d");
  let low = 0, wide = 1;
  const offset = (share) => start + BigInt(Math.floor(share * levels.at(-1).bins)) * length / BigInt(levels.at(-1).bins);
  const hex = (number) => "0x" + number.toString(16);

  const show = () => {
    const ratio = devicePixelRatio || 1, across = canvas.clientWidth, down = canvas.clientHeight;
    canvas.width = across * ratio;
    canvas.height = down * ratio;
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    const level = levels.find(({ bins }) => bins * wide >= across) ?? levels.at(-1);
    const room = across - LEFT - RIGHT, high = (down - BELOW) / rows.length;
    const x = (bin) => LEFT + Math.min(Math.max((bin / level.bins - low) / wide, 0), 1) * room;
    pen.font = "11px sans-serif";
    rows.forEach((name, row) => {
      const top = row * high, runs = level.runs[row];
      pen.fillStyle = given.ground;
      pen.fillRect(LEFT, top, room, high - 2);
      for (let at = 0; at < runs.length; at += 3) {
        const from = x(runs[at]), to = x(runs[at + 1]);
        if (to <= LEFT || from >= LEFT + room) continue;
        pen.fillStyle = colours[runs[at + 2]];
        pen.fillRect(from, top, Math.max(to - from, 1), high - 2);
      }
      pen.fillStyle = given.ink;
      pen.textAlign = "right";
      pen.fillText(name, LEFT - 6, top + high / 2 + 3);
    });
    for (let mark = 0; mark <= 4; mark++) {
      pen.textAlign = mark === 0 ? "left" : mark === 4 ? "right" : "center";
      pen.fillText(hex(mark === 4 && low + wide >= 1 ? start + length : offset(low + wide * mark / 4)), LEFT + room * mark / 4, down - 6);
    }
    const size = Math.max(Math.ceil(most / level.bins), 1);
    told.textContent = `${hex(offset(low))} to ${hex(low + wide >= 1 ? start + length : offset(low + wide))}, a bin is ${size === 1 ? "one byte" : size.toLocaleString("en") + " bytes"}. ${given.told}`;
    canvas.dataset.bins = level.bins;
  };
  const at = (event) => (event.offsetX - LEFT) / Math.max(canvas.clientWidth - LEFT - RIGHT, 1);
  const move = (next, by) => {
    wide = Math.min(Math.max(by, Math.min(16 / most, 1)), 1);
    low = Math.min(Math.max(next, 0), 1 - wide);
    show();
  };
  let held = null;
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    const by = Math.min(wide * (event.deltaY > 0 ? 1.25 : 0.8), 1);
    move(low + at(event) * (wide - by), by);
  }, { passive: false });
  canvas.addEventListener("pointerdown", (event) => { held = low + at(event) * wide; canvas.setPointerCapture(event.pointerId); });
  canvas.addEventListener("pointermove", (event) => { if (held !== null) move(held - at(event) * wide, wide); });
  canvas.addEventListener("pointerup", () => { held = null; });
  canvas.addEventListener("dblclick", () => move(0, 1));
  new ResizeObserver(show).observe(canvas);
}

vegaEmbed("#figure", SPEC, { actions: false, renderer: "svg" }).then(() => map(document.querySelector("#figure svg")));
strip(document.querySelector("#strip"), document.querySelector("#told"), LEVELS);
