import { element, fitChips, paintTile } from "./tile.js";

const LEAST_WIDTH = 160;
const GROUND = 160;
const CAPTION = { labels: 80, scores: 70 };
const GAP = 12;
// Rows kept ready above and below what is on the screen.
const SPARE = 2;

/** The rows of tiles near the screen; all others are only room in a tall, empty canvas. */
export class Rows {
  constructor(scroller, canvas, captions) {
    this.scroller = scroller;
    this.canvas = canvas;
    this.captions = captions;
    this.rows = new Map();
    this.columns = 1;
    this.height = GROUND + CAPTION[captions] + GAP;
    canvas.style.setProperty("--ground", `${GROUND}px`);
    canvas.style.setProperty("--tile", `${this.height - GAP}px`);
    canvas.style.setProperty("--gap", `${GAP}px`);
  }

  get onScreen() {
    return Math.max(1, Math.floor(this.scroller.clientHeight / this.height));
  }

  /** First and last place that should be loaded, whether or not it exists yet. */
  get near() {
    const top = Math.floor(this.scroller.scrollTop / this.height);
    const bottom = Math.ceil((this.scroller.scrollTop + this.scroller.clientHeight) / this.height);
    return [Math.max(0, top - SPARE) * this.columns, (bottom + SPARE) * this.columns - 1];
  }

  /** The place at the top of the screen. */
  get top() {
    return Math.round(this.scroller.scrollTop / this.height) * this.columns;
  }

  /** Lay out for the width there is; true when the number of columns changed. */
  measure() {
    const columns = Math.max(2, Math.floor((this.canvas.clientWidth + GAP) / (LEAST_WIDTH + GAP)));
    if (columns === this.columns) return false;
    this.columns = columns;
    this.canvas.style.setProperty("--columns", columns);
    this.scroller.ariaColCount = String(columns);
    this.clear();
    return true;
  }

  clear() {
    this.rows.clear();
    this.canvas.replaceChildren();
  }

  scrollTo(place) {
    const top = Math.floor(place / this.columns) * this.height;
    const { scrollTop, clientHeight } = this.scroller;
    if (top < scrollTop) this.scroller.scrollTop = top;
    else if (top + this.height > scrollTop + clientHeight) this.scroller.scrollTop = top + this.height - clientHeight;
  }

  /** Move the canvas so that `place` stands where `before` stood. */
  hold(place, before) {
    const moved = Math.floor(place / this.columns) - Math.floor(before / this.columns);
    if (moved && this.scroller.scrollTop > 0) this.scroller.scrollTop += moved * this.height;
  }

  paint(images) {
    const count = Math.ceil(images.room / this.columns);
    this.canvas.style.height = `${Math.max(0, count * this.height - GAP)}px`;
    this.scroller.ariaRowCount = String(count);
    const [first, last] = this.near.map((place) => Math.floor(place / this.columns));
    for (const [number, row] of this.rows) {
      if (number < first || number > last || number >= count) {
        row.remove();
        this.rows.delete(number);
      }
    }
    const painted = [];
    for (let number = first; number <= Math.min(last, count - 1); number++) painted.push(...this.#row(number, images));
    painted.forEach(fitChips);
  }

  /** Every tile there is now, with its place. */
  *tiles() {
    for (const row of this.rows.values()) for (const tile of row.children) yield [tile, tile.place];
  }

  #row(number, images) {
    let row = this.rows.get(number);
    if (!row) {
      row = element("div", "row");
      row.role = "row";
      row.ariaRowIndex = String(number + 1);
      row.style.top = `${number * this.height}px`;
      this.rows.set(number, row);
      this.canvas.append(row);
    }
    const first = number * this.columns;
    const length = Math.min(this.columns, images.room - first);
    while (row.children.length > length) row.lastChild.remove();
    const painted = [];
    for (let column = 0; column < length; column++) {
      const tile = row.children[column] ?? row.appendChild(cell(first + column, column));
      const item = images.items[first + column];
      if (tile.item === item) continue;
      tile.item = item;
      if (item) {
        paintTile(tile, images, item, this.captions);
        painted.push(tile);
      } else {
        delete tile.dataset.key;
        tile.className = "tile waiting";
        tile.removeAttribute("aria-label");
        tile.replaceChildren(element("div", "ground"));
      }
    }
    return painted;
  }
}

function cell(place, column) {
  const tile = element("div", "tile waiting");
  tile.role = "gridcell";
  tile.id = `tile-${place}`;
  tile.ariaColIndex = String(column + 1);
  tile.place = place;
  tile.item = null;
  return tile;
}
