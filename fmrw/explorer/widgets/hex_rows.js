// Rows of the hex view: cells that stay where they are; a step writes into those that differ. hex.py puts this before hex.js.

const make = (kind, style, text = "") => {
  const made = document.createElement(kind);
  made.className = style;
  made.textContent = text;
  return made;
};

const printable = (byte) => (byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : "·");

// One row: its offset, its bytes as numbers and as text, and above it the names of the parts that begin in it
class Row {
  constructor(first, count, width) {
    this.count = count;
    this.element = make("div", "fmrw-hex-row");
    this.offset = make("span", "fmrw-hex-offset");
    const hex = make("span", "fmrw-hex-bytes"), text = make("span", "fmrw-hex-text");
    hex.style.width = `${width * 3}ch`;
    this.cells = Array.from({ length: count }, (_, column) => [hex, text].map((place) => {
      const cell = make("span", "");
      cell.dataset.at = first + column;
      place.append(cell);
      return cell;
    }));
    this.looks = new Array(count).fill("");
    this.element.append(this.offset, hex, text);
    this.called = "";
  }

  // Show a byte; what it looks like is one text, so that it is written only where it changed
  cell(column, byte, { back, ink, under, style, title }) {
    const look = `${byte} ${back} ${ink} ${under} ${style} ${title}`;
    if (this.looks[column] === look) return;
    this.looks[column] = look;
    const [hex, text] = this.cells[column];
    hex.textContent = byte.toString(16).padStart(2, "0");
    text.textContent = printable(byte);
    for (const cell of [hex, text]) {
      cell.className = style;
      cell.title = title;
      cell.style.cssText = `background: ${back}; color: ${ink}; ${under ? `box-shadow: inset 0 -3px 0 ${under}` : ""}`;
    }
  }

  // Names stand above the row, each where its part begins, and give way to the next
  names(found, digits, width) {
    const called = JSON.stringify([found, digits]);
    if (this.called === called) return;
    this.called = called;
    this.element.querySelector(".fmrw-hex-names")?.remove();
    if (!found.length) return;
    const line = make("div", "fmrw-hex-names");
    found.forEach(([column, own], place) => {
      const room = ((found[place + 1]?.[0] ?? width + 6) - column) * 3;
      const name = make("span", "", own.join(" › "));
      name.title = own.join(" › ");
      name.style.left = `${digits + 2 + column * 3}ch`;
      name.style.maxWidth = `${room}ch`;
      line.append(name);
    });
    this.element.prepend(line);
  }
}

// All rows in sight; `block` is an answer of the kernel, of which those from `from` on are shown
class Rows {
  constructor(place) {
    this.place = place;
    this.rows = [];
    this.start = null;
  }

  draw(block, { from, count, width, digits, look, selected }) {
    if (block.reason) {
      this.rows = [];
      this.place.replaceChildren(make("div", "fmrw-hex-reason", block.reason));
      this.place.dataset.start = String(from);
      return;
    }
    const skipped = Number(from - block.start), length = Math.min(block.content.length - skipped, count * width);
    this.fit(length, width);
    this.rows.forEach((row, number) => {
      const at = number * width;
      row.offset.textContent = (from + BigInt(at)).toString(16).padStart(digits, "0");
      const names = [];
      for (let column = 0; column < row.count; column++) {
        const own = block.begins.get(skipped + at + column);
        if (own) names.push([column, own]);
        const chosen = at + column >= selected[0] && at + column < selected[1];
        row.cell(column, block.content[skipped + at + column], this.look(block, skipped + at + column, look, chosen));
      }
      row.names(names, digits, width);
    });
    this.start = from;
    this.place.dataset.start = String(from);
  }

  look({ reads, writes, marks, begins }, byte, look, chosen) {
    const [back, ink] = look.read[reads[byte] - 1] ?? [look.untouched, look.faint];
    const under = look.write[writes[byte] - 1] ?? "";
    const mark = marks.find(([from, to]) => from <= byte && byte < to);
    const style = `${reads[byte] || under ? "" : "n "}${begins.has(byte) ? "b " : ""}${mark ? "m " : ""}${chosen ? "s" : ""}`;
    return { back, ink, under, style: style.trim(), title: mark ? mark[2] : "" };
  }

  // Keep the rows that have as many cells as are needed
  fit(length, width) {
    const count = Math.max(Math.ceil(length / width), 0), same = this.width === width;
    this.width = width;
    this.rows = Array.from({ length: count }, (_, number) => {
      const cells = Math.min(width, length - number * width), known = this.rows[number];
      return same && known?.count === cells ? known : new Row(number * width, cells, width);
    });
    const elements = this.rows.map((row) => row.element);
    if (elements.length !== this.place.children.length || elements.some((each, at) => each !== this.place.children[at]))
      this.place.replaceChildren(...elements);
  }
}

// Read an answer about rows: what begins and is marked where, by the place in the block
function blockOf(answer, buffers) {
  const [content, reads, writes] = buffers.map((each) => new Uint8Array(each.buffer ?? each, each.byteOffset ?? 0, each.byteLength));
  const begins = new Map();
  for (const [offset, , name] of answer.parts) begins.set(Number(offset), [...(begins.get(Number(offset)) ?? []), name]);
  const marks = answer.marks.map(([from, to, name]) => [Number(from), Number(to), name]);
  return { start: BigInt(answer.start), reason: answer.reason, number: answer.number, content, reads, writes, begins, marks };
}
