// What the hex view asks, what is selected, and which rows are in sight. hex.py puts this before hex.js.

const ROW = 18, TALLEST = 4_000_000; // pixels of a row, and of what scrolls; longer files scroll by their share

// Asks the kernel: each question has a number. Of rows there is one question at a time: while an answer is on its way, it is only noted that more is wanted
class Questions {
  constructor(model) {
    this.model = model;
    this.number = 0;
    this.pending = this.wished = false;
  }

  ask(what, more) { this.model.send({ ask: what, number: ++this.number, ...more }); }

  rows(start, end) {
    this.wished = this.pending;
    if (this.pending) return;
    this.pending = true;
    this.ask("rows", { start: String(start), end: String(end) });
  }
}

// What is selected: two ends, of which the cursor moves
class Selection {
  anchor = 0n;
  cursor = 0n;
  used = false;

  get first() { return this.anchor < this.cursor ? this.anchor : this.cursor; }

  get end() { return (this.anchor < this.cursor ? this.cursor : this.anchor) + 1n; }

  get range() { return { start: String(this.first), end: String(this.end) }; }

  // Its places among cells that begin at an offset; what lies out of sight is cut by numbers that stay exact
  within(from) { return this.used ? [Number(this.first - from), Number(this.end - from)] : [0, 0]; }

  of(start, end) {
    this.cursor = BigInt(start);
    this.anchor = BigInt(end) - 1n;
    this.used = true;
  }
}

// Which rows are in sight: row numbers and pixels
class Sight {
  constructor(model, scroller, spacer) {
    Object.assign(this, { model, scroller, spacer, width: 16, row: 0, expected: -1, tall: 0, broad: 0 });
  }

  get size() { return BigInt(this.model.get("size")); }

  get digits() { return Math.max(8, this.size.toString(16).length); }

  get total() { return Number((this.size + BigInt(this.width) - 1n) / BigInt(this.width)); }

  get fit() { return Math.max(1, Math.floor(this.tall / ROW)); }

  // Rows with names are higher: so many are in sight even if all have some, and the last one can be scrolled to
  get sure() { return Math.max(1, Math.floor(this.fit * 0.58)); }

  get furthest() { return Math.max(0, this.total - this.sure); }

  get exact() { return this.furthest * ROW <= TALLEST; }

  get range() { return Math.min(this.furthest * ROW, TALLEST); }

  get top() { return BigInt(this.row) * BigInt(this.width); }

  // Bytes of the rows that are drawn: those in sight, and two that are cut
  get page() { return BigInt((this.fit + 2) * this.width); }

  rowOf(offset) { return Number(BigInt(offset) / BigInt(this.width)); }

  // The room there is; asked for where it changes, since to ask makes the browser lay out the page
  measure() {
    this.tall = this.scroller.clientHeight;
    this.broad = this.scroller.clientWidth;
  }

  spread() {
    const letter = 7.3, room = this.broad - 6, before = this.width;
    this.width = [16, 8, 4].find((each) => (this.digits + 3 + each * 4) * letter <= room) ?? 4;
    this.spacer.style.height = `${this.range + this.tall}px`;
    if (before !== this.width) this.row = Math.floor((this.row * before) / this.width);
  }

  to(row) {
    this.row = Math.min(Math.max(row, 0), this.furthest);
    const wanted = this.exact ? Math.min(this.row * ROW, this.range)
      : Math.round(this.furthest ? (this.row / this.furthest) * this.range : 0);
    if (wanted !== this.expected) this.scroller.scrollTop = this.expected = wanted;
  }

  // Take over where the user has scrolled to; tell whether that was the user
  scrolled() {
    const at = this.scroller.scrollTop;
    if (Math.abs(at - this.expected) < 2) return false; // our own doing
    this.expected = at;
    this.row = this.exact ? Math.min(Math.round(at / ROW), this.furthest)
      : Math.round((at / Math.max(this.range, 1)) * this.furthest);
    return true;
  }
}
