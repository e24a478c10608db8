import { pictureElement, chipOf, element, percent, stateOf, verdictOf } from "./tile.js";

/**
 * One image large, over the whole page: picture, name, labels or scores.
 *
 * `gallery` gives `images`, `captions`, `reach(place)` (load up to there), `choose(item, label)` and
 * `moved(item | null)`; `show(place)` opens, `update()` repaints after anything changed.
 */
export class Large {
  constructor(dialog, gallery) {
    this.dialog = dialog;
    this.gallery = gallery;
    this.key = null;
    this.waiting = null;
    this.name = element("h2", "title");
    this.position = element("span", "position");
    const head = element("header");
    head.append(this.name, this.position, button("close", "✕", "Close"));
    this.back = button("back", "‹", "Previous image");
    this.forth = button("forth", "›", "Next image");
    this.figure = element("figure");
    this.foot = element("footer");
    dialog.append(head, this.figure, this.foot);
    // So that it can take over the focus of a chip that is painted anew, and the arrow keys go on working.
    dialog.tabIndex = -1;
    dialog.onclose = () => this.#closed();
    dialog.onclick = (event) => this.#click(event);
    dialog.onkeydown = (event) => {
      // Streamlit listens for single letters on the whole page.
      event.stopPropagation();
      if (event.key === "ArrowRight") this.step(1);
      else if (event.key === "ArrowLeft") this.step(-1);
      else return;
      event.preventDefault();
    };
  }

  get item() {
    const images = this.gallery.images;
    return this.key === null ? null : (images.items[images.placeOf(this.key)] ?? null);
  }

  show(place) {
    const item = this.gallery.images.items[place];
    if (!item) {
      this.waiting = place;
      this.gallery.reach(place);
      return;
    }
    this.waiting = null;
    this.key = item.key;
    this.#paint(item);
    if (!this.dialog.open) this.dialog.showModal();
    this.gallery.moved(item);
  }

  step(by) {
    const place = this.gallery.images.placeOf(this.key) + by;
    if (place >= 0 && place < this.gallery.images.room) this.show(place);
  }

  update() {
    if (this.waiting !== null && this.gallery.images.items[this.waiting]) this.show(this.waiting);
    else if (this.dialog.open && !this.item) this.dialog.close();
    else if (this.dialog.open && this.item !== this.painted) this.#paint(this.item);
    else if (this.dialog.open) this.#steps();
  }

  close() {
    if (this.dialog.open) this.dialog.close();
  }

  #closed() {
    this.key = this.waiting = this.painted = null;
    this.gallery.moved(null);
    this.figure.replaceChildren();
    this.foot.replaceChildren();
  }

  #click(event) {
    const target = event.composedPath()[0];
    const button = target.closest("button");
    if (target === this.dialog || button?.matches(".close")) this.dialog.close();
    else if (button?.matches(".back")) this.step(-1);
    else if (button?.matches(".forth")) this.step(1);
    else if (button?.matches(".chip")) this.gallery.choose(this.item, button.dataset.label);
  }

  #paint(item) {
    const focused = this.dialog.getRootNode().activeElement;
    this.dialog.setAttribute("aria-label", item.name);
    this.name.textContent = this.name.title = item.name;
    if (this.painted?.key !== item.key) this.#show(item);
    this.foot.replaceChildren(...(this.gallery.captions === "scores" ? scoreBars(item) : labelFacts(item)));
    this.painted = item;
    this.#steps();
    if (this.dialog.open && focused !== this.dialog && !focused?.isConnected) {
      const same = [...this.foot.querySelectorAll(".chip")].find((chip) => chip.dataset.label === focused?.dataset?.label);
      (same ?? this.dialog).focus();
    }
  }

  #show(item) {
    const { figure } = this;
    const small = pictureElement(this.gallery.images, item, "thumbnail");
    const original = pictureElement(this.gallery.images, item, "original");
    small.classList.add("behind");
    figure.replaceChildren(this.back, this.forth);
    if (original.tagName === "IMG") {
      small.ariaHidden = "true";
      original.onload = () => small.remove();
      original.onerror = () => {
        if (!original.isConnected) return;
        // Not every browser shows every format that can be uploaded (TIFF), but all show the thumbnail.
        original.remove();
        small.ariaHidden = null;
        figure.append(element("figcaption", "", "This browser cannot show the original; this is its thumbnail."));
      };
      figure.prepend(small, original);
    } else {
      figure.prepend(original);
    }
  }

  #steps() {
    const images = this.gallery.images;
    const place = images.placeOf(this.key);
    this.back.disabled = place <= 0;
    this.forth.disabled = place + 1 >= images.room;
    this.position.textContent = `${(place + 1).toLocaleString("en")} of ${images.room.toLocaleString("en")}`;
  }
}

function button(className, sign, name) {
  const made = element("button", className, sign);
  made.type = "button";
  made.title = name;
  made.setAttribute("aria-label", name);
  return made;
}

function labelFacts(item) {
  const chips = element("div", "chips");
  for (const label of item.labels ?? []) chips.append(chipOf(label, true));
  if (!item.labels?.length) chips.append(element("span", "state", stateOf(item) || "no label yet"));
  const facts = [];
  if (item.width && item.height) facts.push(`${item.width} × ${item.height} pixels`);
  if (item.split) facts.push(`${item.split} set`);
  const lines = [chips, element("p", "facts", facts.join(" · "))];
  if (item.labels?.length > 1) lines.push(element("p", "facts", "Click a label to make it the default."));
  return lines;
}

function scoreBars(item) {
  const verdict = verdictOf(item);
  const lines = [];
  if (Array.isArray(item.truth)) {
    const truth = item.truth.join(", ") || "none of the labels";
    const line = element("p", verdict ? "truth correct" : "truth incorrect");
    line.append(element("span", "mark", verdict ? "✓" : "✗"));
    line.append(element("span", "", verdict ? `Correct: it is ${truth}` : `Incorrect: it is ${truth}`));
    lines.push(line);
  }
  const bars = element("ul", "bars");
  for (const { label, score } of item.scores ?? []) {
    const line = element("li", item.predicted.includes(label) ? "bar predicted" : "bar");
    const name = element("span", "label", label);
    name.title = label;
    const ground = element("span", "track");
    const fill = element("span", "fill");
    fill.style.width = `${Math.max(0, Math.min(1, score)) * 100}%`;
    ground.append(fill);
    line.append(name, ground, element("span", "score", percent(score)));
    bars.append(line);
  }
  lines.push(bars);
  return lines;
}
