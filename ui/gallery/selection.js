/**
 * Which images are selected, and which one the keyboard is at.
 *
 * Places are positions in `images.items`; what is kept are keys, which stay true when images come and go.
 */
export class Selection {
  constructor() {
    this.keys = new Set();
    this.active = 0;
    this.from = 0;
  }

  /** The ids of the selected images, in the order shown; what was never loaded keeps its place at the end. */
  ids(images) {
    const place = (key) => (images.places.has(key) ? images.placeOf(key) : Infinity);
    return [...this.keys].sort((a, b) => place(a) - place(b) || 0).map(Number);
  }

  only(images, place) {
    this.keys.clear();
    this.toggle(images, place);
  }

  toggle(images, place) {
    const item = images.items[place];
    if (item && selectable(item) && !this.keys.delete(item.key)) this.keys.add(item.key);
    this.active = this.from = place;
  }

  /** Everything between the last single choice and `place`. */
  through(images, place) {
    this.keys.clear();
    const [first, last] = [Math.min(this.from, place), Math.max(this.from, place)];
    this.#add(images.items.slice(first, last + 1));
    this.active = place;
  }

  all(images) {
    this.#add(images.items);
  }

  none() {
    this.keys.clear();
  }

  drop(keys) {
    for (const key of keys) this.keys.delete(key);
  }

  #add(items) {
    for (const item of items) if (selectable(item)) this.keys.add(item.key);
  }
}

// A predicted file that is no image of the project has no id that anything could be done with.
function selectable(item) {
  return item.id !== null && item.id !== undefined;
}

/** Where a key leads from `place`; null when it is not a key that moves. */
export function placeAfter(key, place, columns, rowsOnScreen, room) {
  const moves = {
    ArrowRight: 1,
    ArrowLeft: -1,
    ArrowDown: columns,
    ArrowUp: -columns,
    PageDown: columns * rowsOnScreen,
    PageUp: -columns * rowsOnScreen,
    Home: -Infinity,
    End: Infinity,
  };
  if (!(key in moves) || !room) return null;
  const target = place + moves[key];
  // Up from the first row and down from the last stay in their column.
  if (Math.abs(moves[key]) === columns && (target < 0 || target >= room)) return place;
  return Math.max(0, Math.min(room - 1, target));
}
