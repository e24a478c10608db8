import { NoAnswer, Refusal, address, ask, patience, pause, understood } from "../answers.js";

const AT_ONCE = 4;
const TRIES = 3;

/** The person stopped it. */
export class Cancelled extends Error {}

/**
 * Sends files to one upload of the server, four at a time.
 *
 * The body of each request is the file itself, which the browser reads from disk as it goes. `failed` holds
 * `{name, sentence}` of what the server refused for good; `waiting` is true while the server is away.
 */
export class Sending {
  constructor() {
    this.token = null;
    this.taken = new Map();
    this.failed = [];
    this.files = this.bytes = 0;
    this.allFiles = this.allBytes = 0;
    this.underway = new Map();
    this.waiting = false;
    this.cancelled = false;
  }

  /** Bytes that have left, those of unfinished files included. */
  get sentBytes() {
    let sum = this.doneBytes;
    for (const { sent } of this.underway.values()) sum += sent;
    return sum;
  }

  /** Send all of `found`; throws `Cancelled`, or `Refusal` when the server takes nothing more for this upload. */
  async send(found) {
    this.allFiles = found.length;
    this.allBytes = found.reduce((sum, { file }) => sum + file.size, 0);
    this.doneFiles = this.doneBytes = 0;
    const again = new Set(found.map(({ name }) => name));
    this.failed = this.failed.filter(({ name }) => !again.has(name));
    await this.#open();
    const queue = found[Symbol.iterator]();
    const workers = Array.from({ length: AT_ONCE }, async () => {
      for (const one of queue) {
        await this.#sendOne(one);
        this.doneFiles += 1;
        this.doneBytes += one.file.size;
      }
    });
    try {
      await Promise.all(workers);
    } catch (problem) {
      // The other three need not go on.
      this.stop();
      throw problem;
    }
  }

  stop() {
    this.cancelled = true;
    for (const { request } of this.underway.values()) request.abort();
  }

  /** Have the server forget what arrived; when it can't be told, it does so by itself later. */
  async forget() {
    // Kept alive, so that it goes out although the tab is closed.
    if (this.token) await fetch(this.#url(), { method: "DELETE", keepalive: true }).catch(() => undefined);
  }

  // Go on with an upload the server still knows, or begin one.
  async #open() {
    if (this.token) {
      try {
        await this.#patiently(() => ask(this.#url()));
        return;
      } catch (problem) {
        if (!(problem instanceof Refusal)) throw problem;
        this.files = this.bytes = 0;
      }
    }
    const answer = await this.#patiently(() => ask(address("api/v1/uploads"), { method: "POST" }));
    if (typeof answer.upload !== "string") throw new Refusal("The server answered with something unexpected.", 200);
    this.token = answer.upload;
  }

  async #sendOne({ name, file }) {
    for (let tries = 1; ; tries++) {
      if (this.cancelled) throw new Cancelled();
      let problem;
      try {
        await this.#put(name, file);
        this.files += 1;
        this.bytes += file.size;
        return;
      } catch (thrown) {
        problem = thrown;
      }
      if (problem instanceof Cancelled) throw problem;
      // Was it this file, or is the server away, or has it forgotten the upload? It is asked before anything is blamed.
      await this.#patiently(() => ask(this.#url()));
      const forGood = problem instanceof Refusal && problem.status < 500 && ![408, 425, 429].includes(problem.status);
      if (forGood || tries === TRIES) {
        const sentence = problem instanceof NoAnswer ? "It could not be sent: is the file still there?" : problem.message;
        this.failed.push({ name, sentence });
        // It may be chosen again.
        this.taken.delete(name);
        return;
      }
      await pause(patience(tries - 1));
    }
  }

  #put(name, file) {
    return new Promise((done, failed) => {
      const request = new XMLHttpRequest();
      const state = { request, sent: 0 };
      this.underway.set(name, state);
      request.upload.onprogress = (event) => (state.sent = Math.min(event.loaded, file.size));
      request.onerror = () => failed(new NoAnswer());
      request.onabort = () => failed(new Cancelled());
      request.onload = () => {
        try {
          done(understood(request.status, request.getResponseHeader("content-type"), request.responseText));
        } catch (problem) {
          failed(problem);
        }
      };
      request.onloadend = () => this.underway.delete(name);
      const url = this.#url("/files");
      url.search = `?name=${encodeURIComponent(name.toWellFormed?.() ?? name)}`;
      request.open("PUT", url);
      request.setRequestHeader("Content-Type", "application/octet-stream");
      request.send(file);
    });
  }

  async #patiently(request) {
    for (let tries = 0; ; tries++) {
      if (this.cancelled) throw new Cancelled();
      try {
        const answer = await request();
        this.waiting = false;
        return answer;
      } catch (problem) {
        if (!(problem instanceof NoAnswer)) {
          this.waiting = false;
          throw problem;
        }
      }
      this.waiting = true;
      await pause(patience(tries));
    }
  }

  #url(rest = "") {
    return address(`api/v1/uploads/${encodeURIComponent(this.token)}${rest}`);
  }
}

/** Seconds left, from the bytes and files of the last ten seconds or so; null until that can be said. */
export class Pace {
  constructor() {
    this.marks = [];
  }

  left(now, sentBytes, doneFiles, sending) {
    this.marks.push([now, sentBytes, doneFiles]);
    while (this.marks.length > 2 && now - this.marks[0][0] > 10000) this.marks.shift();
    const [before, bytesBefore, filesBefore] = this.marks[0];
    const seconds = (now - before) / 1000;
    if (seconds < 1.5) return null;
    const [bytes, files] = [sentBytes - bytesBefore, doneFiles - filesBefore];
    // Small files cost by the piece, large ones by the byte: what takes longer decides.
    const byBytes = bytes > 0 ? ((sending.allBytes - sentBytes) * seconds) / bytes : null;
    const byFiles = files > 3 ? ((sending.allFiles - doneFiles) * seconds) / files : null;
    return byBytes === null && byFiles === null ? null : Math.max(byBytes ?? 0, byFiles ?? 0);
  }
}

