import { NO_ANSWER } from "../answers.js";
import { chosen, distinct, dropped } from "./collecting.js";
import { Cancelled, Pace, Sending } from "./sending.js";

const REPAINT = 200;
// More names than anybody reads; the page has them all.
const NAMED = 100;
const WORDS = {
  images: ["Drop images, folders or zip files here", "Drop images or zip files here", "Drop an image or a zip file here"],
  predict: ["Drop images, folders or zip files here", "Drop images or zip files here", "Drop an image here"],
  labels: ["Drop label files or a folder here", "Drop label files here", "Drop a label file here"],
};

const uploaders = new WeakMap();

export default function (component) {
  const root = component.parentElement.querySelector(".uploader");
  let uploader = uploaders.get(root);
  if (!uploader) uploaders.set(root, (uploader = new Uploader(root)));
  uploader.update(component.data, component.setStateValue);
  return () => {
    uploader.leave();
    uploaders.delete(root);
  };
}

class Uploader {
  constructor(root) {
    this.root = root;
    this.zone = part("div", "zone");
    this.words = part("p", "words");
    this.files = part("button", "choose", "Choose files");
    this.folder = part("button", "choose", "Choose folder");
    this.filesInput = fileInput(this.files, (found) => this.#take(chosen(found), []));
    this.folderInput = fileInput(this.folder, (found) => this.#take(chosen(found), []));
    this.folderInput.webkitdirectory = true;
    const buttons = part("div", "buttons");
    buttons.append(this.files, this.folder);
    this.zone.append(this.words, buttons);

    this.progress = part("div", "progress");
    this.bar = part("progress");
    this.bar.max = 1;
    this.bar.setAttribute("aria-label", "Files sent");
    this.numbers = part("span", "numbers");
    this.cancel = part("button", "choose", "Cancel");
    this.cancel.onclick = () => this.#stop();
    const line = part("div", "line");
    line.append(this.numbers, this.cancel);
    this.progress.append(this.bar, line);

    this.said = part("p", "said");
    this.said.role = "status";
    this.refused = part("details", "refused");
    root.replaceChildren(this.zone, this.progress, this.said, this.refused, this.filesInput, this.folderInput);
    this.sending = new Sending();
    this.unread = [];
    this.busy = false;
    this.#listen();
    this.#paint();
  }

  update(data, setStateValue) {
    this.setStateValue = setStateValue;
    this.multiple = data.multiple;
    this.folders = data.folders && data.multiple;
    this.filesInput.multiple = data.multiple;
    this.files.textContent = data.multiple ? "Choose files" : "Choose a file";
    this.folder.hidden = !this.folders;
    this.words.textContent = WORDS[data.purpose][this.folders ? 0 : data.multiple ? 1 : 2];
  }

  /** The page took the component away. */
  leave() {
    this.sending.stop();
    removeEventListener("beforeunload", this.warn);
    removeEventListener("pagehide", this.closed);
    clearInterval(this.painting);
  }

  #listen() {
    this.warn = (event) => event.preventDefault();
    // Half an upload is of no use to anybody: a reload begins anew.
    this.closed = () => this.busy && this.sending.forget();
    addEventListener("pagehide", this.closed);
    let depth = 0;
    const over = (by) => (event) => {
      event.preventDefault();
      depth = by ? depth + by : 0;
      this.zone.classList.toggle("over", depth > 0 && !this.busy);
    };
    this.zone.ondragenter = over(1);
    this.zone.ondragleave = over(-1);
    this.zone.ondragover = (event) => event.preventDefault();
    this.zone.ondrop = (event) => {
      over(0)(event);
      if (!this.busy) this.#open(event.dataTransfer);
    };
  }

  async #open(transfer) {
    const unread = [];
    this.#work(true);
    this.#say("Looking through what you dropped…");
    let shown = 0;
    const found = await dropped(transfer, unread, (count) => {
      if (performance.now() - shown < REPAINT) return;
      shown = performance.now();
      this.#say(`Looking through what you dropped… ${files(count)}`);
    });
    await this.#take(found, unread);
  }

  async #take(found, unread) {
    const sending = this.#sendingFor(found);
    const fresh = distinct(this.multiple ? found : found.slice(0, 1), sending.taken);
    this.unread.push(...unread);
    if (!fresh.length) {
      this.#work(false);
      this.#say(found.length ? "These files are here already." : "There are no files in there.");
      return;
    }
    this.#work(true);
    this.#say("");
    this.#report(sending, true);
    this.pace = new Pace();
    this.painting = setInterval(() => this.#paint(), REPAINT);
    try {
      await sending.send(fresh);
      this.#finished(sending);
    } catch (problem) {
      if (!(problem instanceof Cancelled)) this.#say(problem.message, true);
      await this.#restart(sending);
    }
  }

  // A single file replaces the one before; several are added to those before.
  #sendingFor(found) {
    if (!this.multiple && found.length && this.sending.token) {
      this.sending.forget();
      this.sending = new Sending();
      this.unread = [];
    }
    return this.sending;
  }

  #finished(sending) {
    this.#work(false);
    const failed = sending.failed.length + this.unread.length;
    const bad = failed ? `; ${number(failed)} could not be sent` : "";
    this.#say(`${files(sending.files)} sent (${size(sending.bytes)})${bad}.`);
    this.#report(sending, false);
  }

  async #restart(sending) {
    this.sending = new Sending();
    this.unread = [];
    this.#work(false);
    this.#report(this.sending, false);
    await sending.forget();
  }

  #stop() {
    this.#say("Cancelled: nothing was kept.");
    this.sending.stop();
  }

  #work(busy) {
    this.busy = busy;
    clearInterval(this.painting);
    if (busy) addEventListener("beforeunload", this.warn);
    else removeEventListener("beforeunload", this.warn);
    this.#paint();
  }

  #paint() {
    const sending = this.sending;
    const running = this.busy && sending.allFiles > 0;
    this.zone.hidden = this.busy;
    this.progress.hidden = !running;
    this.#list(sending);
    if (!running) return;
    const sent = sending.sentBytes;
    this.bar.value = sending.allBytes ? sent / sending.allBytes : sending.doneFiles / sending.allFiles;
    const words = [`${number(sending.doneFiles)} of ${files(sending.allFiles)}`];
    words.push(`${size(sent)} of ${size(sending.allBytes)}`);
    const left = this.pace.left(performance.now(), sent, sending.doneFiles, sending);
    if (sending.waiting) this.pace = new Pace();
    else if (left !== null) words.push(`${duration(left)} left`);
    this.numbers.textContent = words.join(" · ");
    if (this.busy && !sending.cancelled) this.#say(sending.waiting ? NO_ANSWER : "", sending.waiting);
  }

  #list(sending) {
    const all = [...this.unread, ...sending.failed];
    this.refused.hidden = !all.length;
    const names = all.map(({ name }) => name).join();
    if (this.listed === names) return;
    this.listed = names;
    const list = part("ul");
    for (const { name, sentence } of all.slice(0, NAMED)) {
      const line = part("li");
      line.append(part("b", "", name), part("span", "", sentence));
      list.append(line);
    }
    if (all.length > NAMED) list.append(part("li", "", `and ${number(all.length - NAMED)} more`));
    this.refused.replaceChildren(part("summary", "", `Not sent: ${number(all.length)}`), list);
    this.refused.open = true;
  }

  #report(sending, busy) {
    const failed = busy ? [] : [...this.unread, ...sending.failed];
    const upload = busy || !sending.files ? null : sending.token;
    this.setStateValue("state", {
      upload,
      files: busy ? 0 : sending.files,
      bytes: busy ? 0 : sending.bytes,
      failed: failed.map(({ name, sentence }) => [name, sentence]),
      sending: busy,
    });
  }

  #say(sentence, bad = false) {
    this.said.hidden = !sentence;
    this.said.classList.toggle("bad", bad);
    if (this.said.textContent !== sentence) this.said.textContent = sentence;
  }
}

function part(tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  if (tag === "button") made.type = "button";
  return made;
}

function fileInput(button, take) {
  const input = part("input");
  input.type = "file";
  input.hidden = true;
  button.onclick = () => input.click();
  input.onchange = () => {
    const found = [...input.files];
    // The same files may be chosen again.
    input.value = "";
    if (found.length) take(found);
  };
  return input;
}

function number(count) {
  return count.toLocaleString("en");
}

function files(count) {
  return `${number(count)} ${count === 1 ? "file" : "files"}`;
}

function size(bytes) {
  const units = ["bytes", "kB", "MB", "GB", "TB"];
  const power = bytes < 1000 ? 0 : Math.min(4, Math.floor(Math.log10(bytes) / 3));
  const value = bytes / 1000 ** power;
  return `${power && value < 100 ? value.toFixed(1) : Math.round(value)} ${units[power]}`;
}

function duration(seconds) {
  if (seconds < 60) return `${Math.max(1, Math.round(seconds))} s`;
  if (seconds < 3600) return `${Math.round(seconds / 60)} min`;
  return `${Math.floor(seconds / 3600)} h ${Math.round((seconds % 3600) / 60)} min`;
}
