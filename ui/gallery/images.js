import { Refusal, address, ask } from "../answers.js";

// How many images one request brings; the larger number when somebody has scrolled far ahead of what is loaded.
const PAGE = 200;
const LEAP = 500;

/**
 * The images behind one address, loaded page by page by cursor.
 *
 * `items` is what is loaded, in the server's order. After `outdate()` each page is stale until `refresh(page)` has
 * read it again from its own cursor; images that no longer match the address drop out, new ones come in.
 */
export class Images {
  constructor(source) {
    this.url = address(source);
    this.root = new URL(this.url.href.split(/(?<=\/api\/v1\/)/)[0]);
    this.pages = [];
    this.next = null;
    this.started = false;
    this.total = null;
    this.items = [];
    this.places = new Map();
  }

  get complete() {
    return this.started && this.next === null;
  }

  /** How many tiles to make room for: what is loaded and, until everything is, what the server says there is. */
  get room() {
    const settled = this.complete && !this.pages.some((page) => page.stale);
    return settled ? this.items.length : Math.max(this.items.length, this.total ?? 0);
  }

  placeOf(key) {
    return this.places.get(key) ?? -1;
  }

  /** The pages that hold any of the places from `first` to `last`, or one of `keys`, and must be read again. */
  outdated(first, last, keys) {
    let start = 0;
    return this.pages.filter((page) => {
      const end = start + page.items.length;
      const near = start <= last && end > first;
      start = end;
      return page.stale && (near || !page.items.length || page.items.some((item) => keys.has(item.key)));
    });
  }

  outdate() {
    for (const page of this.pages) page.stale = true;
  }

  /** Load the next page, large when `wanted` images are far away. */
  async more(wanted, signal) {
    const limit = wanted - this.items.length > PAGE ? LEAP : PAGE;
    const cursor = this.next;
    const answer = await this.#read(cursor, limit, signal);
    const items = answer.items.filter((item) => !this.places.has(item.key));
    this.pages.push({ cursor, limit, items, stale: false });
    this.next = answer.next;
    this.started = true;
    this.#settle(answer.total);
  }

  /** Read a page again; return the keys of the images that are no longer there. */
  async refresh(page, signal) {
    const answer = await this.#read(page.cursor, page.limit, signal);
    const place = this.pages.indexOf(page);
    const following = this.pages[place + 1];
    const elsewhere = new Set(this.pages.flatMap((one) => (one === page ? [] : one.items.map((item) => item.key))));
    const before = new Map(page.items.map((item) => [item.key, item]));
    // An unchanged image keeps its object, so that its tile is not painted again.
    page.items = answer.items
      .filter((item) => !elsewhere.has(item.key))
      .map((item) => (JSON.stringify(before.get(item.key)) === JSON.stringify(item) ? before.get(item.key) : item));
    page.stale = false;
    if (!following) {
      this.next = answer.next;
    } else if (answer.next && answer.next !== following.cursor && !answer.items.some((item) => elsewhere.has(item.key))) {
      // More images match now than fit on this page: what lies between it and the following one is a page of its own.
      this.pages.splice(place + 1, 0, { cursor: answer.next, limit: page.limit, items: [], stale: true });
    }
    this.#settle(answer.total);
    return [...before.keys()].filter((key) => !this.places.has(key));
  }

  /** Take over changed images by id, as a write to the server answers them. */
  replace(rows) {
    const changed = new Map(rows.map((row) => itemOf(row)).map((item) => [item.key, item]));
    for (const page of this.pages) page.items = page.items.map((item) => changed.get(item.key) ?? item);
    this.#settle(this.total);
  }

  async #read(cursor, limit, signal) {
    const url = new URL(this.url);
    url.searchParams.set("limit", limit);
    if (cursor !== null) url.searchParams.set("cursor", cursor);
    const answer = await ask(url, { signal });
    const rows = answer.images ?? answer.predictions;
    if (!Array.isArray(rows)) throw new Refusal("The server answered with something that is no list of images.", 200);
    return { items: rows.map(itemOf), next: answer.next ?? null, total: answer.total ?? null };
  }

  #settle(total) {
    this.items = this.pages.flatMap((page) => page.items);
    this.places = new Map(this.items.map((item, place) => [item.key, place]));
    this.total = total;
  }
}

/** A row of the image list or of a prediction list; a predicted file need not be an image of the project. */
function itemOf(row) {
  const id = "predicted" in row ? row.image : row.id;
  return { ...row, id, key: id === null || id === undefined ? `${row.sha256}/${row.name}` : String(id) };
}

/** Where an item's small or original picture is; null when the server keeps none. */
export function pictureOf(images, item, size) {
  if (item[size]) return address(item[size]);
  return item.id === null || item.id === undefined ? null : new URL(`images/${item.id}/${size}`, images.root);
}
