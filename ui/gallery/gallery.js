import { NoAnswer, Refusal, patience, pause, tell } from "../answers.js";
import { Images } from "./images.js";
import { Large } from "./large.js";
import { Rows } from "./rows.js";
import { Selection, placeAfter } from "./selection.js";
import { element } from "./tile.js";

// A burst of clicks or arrow keys reruns the page once.
const REST = 150;
const LOST = 1500;

const galleries = new WeakMap();

export default function (component) {
  const root = component.parentElement.querySelector(".gallery");
  let gallery = galleries.get(root);
  if (!gallery) galleries.set(root, (gallery = new Gallery(root)));
  gallery.update(component.data, component.setStateValue);
  return () => {
    gallery.stop();
    galleries.delete(root);
  };
}

class Gallery {
  constructor(root) {
    this.count = element("span", "count", "Loading…");
    this.count.role = "status";
    this.all = element("button", "quiet", "Select all");
    this.none = element("button", "quiet", "Select none");
    const bar = element("div", "bar-above");
    bar.append(this.count, this.all, this.none);
    this.notices = { list: notice(), write: notice() };
    this.scroller = element("div", "scroller");
    this.scroller.tabIndex = 0;
    this.scroller.role = "grid";
    this.canvas = element("div", "canvas");
    this.canvas.role = "presentation";
    this.empty = element("p", "empty");
    this.scroller.append(this.canvas, this.empty);
    const dialog = element("dialog", "large");
    root.replaceChildren(bar, this.notices.list, this.notices.write, this.scroller, dialog);
    this.root = root;
    this.large = new Large(dialog, this);
    this.opened = null;
    this.writes = 0;
    this.all.onclick = () => this.#select(() => this.selection.all(this.images));
    this.none.onclick = () => this.#select(() => this.selection.none());
    this.scroller.onclick = (event) => this.#click(event);
    this.scroller.ondblclick = (event) => {
      const tile = event.target.closest(".tile");
      if (tile?.item && this.selectable && !event.target.closest("button, .pick")) this.large.show(tile.place);
    };
    this.scroller.onkeydown = (event) => this.#key(event);
    this.scroller.onscroll = () => this.#paint();
    // Whoever goes on to a button of the page finds it knowing what is selected.
    root.onpointerleave = () => this.resting && this.#send();
    root.addEventListener("focusout", root.onpointerleave);
    this.resized = new ResizeObserver(() => this.#paint());
    this.resized.observe(this.scroller);
  }

  /** Take over what the page says now; called again whenever that changes. */
  update(data, setStateValue) {
    const before = this.data ?? {};
    this.data = data;
    this.setStateValue = setStateValue;
    this.selectable = data.selectable;
    this.captions = data.captions;
    this.root.style.setProperty("--height", `${data.height}px`);
    this.root.classList.toggle("selectable", data.selectable);
    this.scroller.setAttribute("aria-label", data.captions === "scores" ? "Predictions" : "Images");
    this.scroller.ariaMultiSelectable = String(data.selectable);
    this.empty.textContent = data.empty;
    if (data.source !== before.source || data.captions !== before.captions) {
      this.#start(before.source === undefined ? data.known : []);
    } else if (data.version !== before.version) {
      this.images.outdate();
      this.#load();
    }
    this.#paint();
    this.#tellAgain(data.known);
  }

  stop() {
    this.control?.abort();
    this.resized.disconnect();
    clearTimeout(this.resting);
    clearTimeout(this.doubting);
  }

  #start(selected) {
    this.control?.abort();
    this.control = new AbortController();
    this.large.close();
    this.images = new Images(this.data.source);
    this.selection = new Selection();
    for (const id of selected) this.selection.keys.add(String(id));
    this.rows?.clear();
    this.rows = new Rows(this.scroller, this.canvas, this.captions);
    this.wanted = 0;
    this.topKey = null;
    this.loading = this.refused = false;
    this.scroller.scrollTop = 0;
    this.#say("write", "");
    this.#say("list", "");
    this.#load();
  }

  /** Load up to a place and open it there as soon as it is known. */
  reach(place) {
    this.wanted = Math.max(this.wanted, place);
    this.#load();
  }

  /** The image shown large changed; null when none is. */
  moved(item) {
    this.opened = item?.id ?? null;
    if (item) this.#activate(this.images.placeOf(item.key));
    else this.scroller.focus({ preventScroll: true });
    this.#tell();
  }

  /** Make a label the default of an image. */
  async choose(item, label) {
    if (item.labels.some((one) => one.name === label && one.default)) return;
    const images = this.images;
    const again = () => this.choose(images.items[images.placeOf(item.key)] ?? item, label);
    try {
      const answer = await tell(new URL("annotations", images.url), { images: [item.id], default: label });
      this.#say("write", "");
      images.replace(answer.images);
      if (images === this.images) this.#changed();
      // The page may show counts that are other ones now.
      this.writes += 1;
      this.#tell();
    } catch (problem) {
      const sentence = problem instanceof NoAnswer ? "The server does not answer; nothing was changed" : problem.message;
      this.#say("write", sentence, again);
    }
  }

  // One request at a time: whatever is on the screen comes first, also when the screen moves on meanwhile.
  async #load() {
    const { control, images } = this;
    if (this.loading || this.refused || control.signal.aborted) return;
    this.loading = true;
    for (let tries = 0; ; ) {
      const job = this.#job(images, control.signal);
      if (!job) break;
      try {
        const gone = await job();
        if (control.signal.aborted) return;
        tries = 0;
        if (gone) this.selection.drop(gone);
        this.#say("list", "");
        this.#changed();
        if (gone?.length) this.#tell();
      } catch (problem) {
        if (control.signal.aborted) return;
        this.#say("list", problem.message, problem instanceof NoAnswer ? null : () => this.#again());
        if (!(problem instanceof NoAnswer)) {
          this.refused = true;
          if (!(problem instanceof Refusal)) console.error(problem);
          break;
        }
        await pause(patience(tries++));
        if (control.signal.aborted) return;
      }
    }
    this.loading = false;
  }

  #job(images, signal) {
    const [first, last] = this.rows.near;
    const [outdated] = images.outdated(first, last, this.selection.keys);
    if (outdated) return () => images.refresh(outdated, signal);
    const wanted = Math.max(last, this.wanted);
    if (!images.started || (!images.complete && images.items.length <= wanted)) {
      return () => images.more(wanted + 1, signal);
    }
    return null;
  }

  #again() {
    this.refused = false;
    this.#say("list", "");
    this.#load();
  }

  // Images came, went or changed: keep what was on top of the screen there.
  #changed() {
    const place = this.topKey === null ? -1 : this.images.placeOf(this.topKey);
    const before = this.topPlace;
    const activeKey = this.activeKey;
    this.rows.measure();
    this.rows.paint(this.images);
    if (place >= 0 && place !== before) this.rows.hold(place, before);
    if (activeKey !== undefined && this.images.placeOf(activeKey) >= 0) {
      this.selection.active = this.images.placeOf(activeKey);
    }
    this.selection.active = Math.max(0, Math.min(this.selection.active, this.images.room - 1));
    this.large.update();
    this.#paint();
  }

  #paint() {
    if (!this.rows || !this.canvas.clientWidth) return;
    const { images, rows } = this;
    const top = this.topPlace ?? 0;
    if (rows.measure()) {
      // Other columns: the same image stays on top.
      rows.paint(images);
      this.scroller.scrollTop = Math.floor(top / rows.columns) * rows.height;
    }
    rows.paint(images);
    this.topPlace = rows.top;
    this.topKey = images.items[rows.top]?.key ?? null;
    this.#mark();
    if (this.#job(images, this.control.signal)) this.#load();
  }

  #mark() {
    const { images, selection } = this;
    this.activeKey = images.items[selection.active]?.key;
    for (const [tile, place] of this.rows.tiles()) {
      const selected = tile.item ? selection.keys.has(tile.item.key) : false;
      tile.classList.toggle("selected", selected);
      tile.classList.toggle("active", place === selection.active);
      if (this.selectable) tile.ariaSelected = String(selected);
    }
    if (images.room) this.scroller.setAttribute("aria-activedescendant", `tile-${selection.active}`);
    else this.scroller.removeAttribute("aria-activedescendant");
    const total = images.total ?? images.items.length;
    const words = this.captions === "scores" ? ["prediction", "predictions"] : ["image", "images"];
    const said = [`${total.toLocaleString("en")} ${words[total === 1 ? 0 : 1]}`];
    if (this.selectable && total) said.push(`${selection.keys.size.toLocaleString("en")} selected`);
    if (images.started) replaceText(this.count, said.join(" · "));
    else replaceText(this.count, this.notices.list.hidden ? "Loading…" : "");
    this.all.hidden = this.none.hidden = !this.selectable || !images.items.length;
    this.none.disabled = !selection.keys.size;
    const loaded = images.items.length;
    replaceText(this.all, loaded < images.room ? `Select the first ${loaded.toLocaleString("en")}` : "Select all");
    this.empty.hidden = !(images.complete && !images.room);
    this.scroller.classList.toggle("nothing", !images.room);
  }

  #select(change) {
    change();
    this.#mark();
    this.#tell();
  }

  #activate(place) {
    this.selection.active = place;
    this.rows.scrollTo(place);
    this.#paint();
  }

  #click(event) {
    const tile = event.target.closest(".tile");
    if (!tile?.item) return;
    const { images, selection } = this;
    const chip = event.target.closest(".chip");
    if (chip) return void this.choose(tile.item, chip.dataset.label);
    if (event.target.closest(".open, .more") || !this.selectable) return this.large.show(tile.place);
    // A finger has no Ctrl key: each touch adds or takes away.
    const toggles = event.ctrlKey || event.metaKey || event.pointerType === "touch" || event.target.closest(".pick");
    this.#select(() => {
      if (event.shiftKey) selection.through(images, tile.place);
      else if (toggles) selection.toggle(images, tile.place);
      else selection.only(images, tile.place);
    });
  }

  #key(event) {
    const { images, selection, rows } = this;
    const control = event.ctrlKey || event.metaKey;
    const place = placeAfter(event.key, selection.active, rows.columns, rows.onScreen, images.room);
    if (place !== null && !event.altKey) {
      if (event.shiftKey && this.selectable) this.#select(() => selection.through(images, place));
      else selection.from = place;
      this.#activate(place);
    } else if (event.key === " " && this.selectable) {
      this.#select(() => selection.toggle(images, selection.active));
    } else if (event.key === "Enter" && images.room) {
      this.large.show(selection.active);
    } else if (event.key === "a" && control && this.selectable) {
      this.#select(() => selection.all(images));
    } else if (event.key === "Escape" && this.selectable) {
      this.#select(() => selection.none());
    } else {
      return;
    }
    event.preventDefault();
    // Streamlit listens for keys on the whole page.
    event.stopPropagation();
  }

  #tell() {
    clearTimeout(this.resting);
    this.resting = setTimeout(() => this.#send(), REST);
  }

  // What is told just when the connection comes back is lost at times: the page would act on nothing.
  #tellAgain(known) {
    clearTimeout(this.doubting);
    const told = this.told && JSON.parse(this.told);
    if (told?.source !== this.data.source || String(told.selected) === String(known)) return;
    this.doubting = setTimeout(() => {
      this.told = null;
      this.#send();
    }, LOST);
  }

  #send() {
    clearTimeout(this.resting);
    this.resting = null;
    const { opened, writes } = this;
    const view = { source: this.data.source, selected: this.selection.ids(this.images), opened, writes };
    const text = JSON.stringify(view);
    if (text !== this.told) this.setStateValue("view", view);
    this.told = text;
  }

  #say(which, sentence, retry = null) {
    const line = this.notices[which];
    line.hidden = !sentence;
    if (line.firstChild?.textContent !== sentence || retry) {
      const parts = [element("span", "", sentence)];
      if (retry) {
        const button = element("button", "quiet", "Retry");
        button.type = "button";
        button.onclick = retry;
        parts.push(button);
      }
      line.replaceChildren(...parts);
    }
    if (this.images && this.rows) this.#mark();
  }
}

function notice() {
  const line = element("div", "notice");
  line.role = "alert";
  line.hidden = true;
  return line;
}

// A status line that is written again with the same words would be read aloud again.
function replaceText(target, text) {
  if (target.textContent !== text) target.textContent = text;
}
