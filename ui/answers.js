// How every component talks to the server: an answer, or an error whose message is a sentence for a person.

export const NO_ANSWER = "The server does not answer; trying again";

/** Nothing came back: the server is stopped or restarting, or the network is gone. Asking again later may help. */
export class NoAnswer extends Error {
  constructor() {
    super(NO_ANSWER);
  }
}

/** The server answered, but not with what was asked for. */
export class Refusal extends Error {
  constructor(sentence, status) {
    super(sentence);
    this.status = status;
  }
}

/** A relative REST address as seen from the page, so that a proxy may put the app under any path. */
export function address(relative) {
  return new URL(relative, document.baseURI);
}

/** Fetch JSON. Throws NoAnswer or Refusal; an aborted request throws its AbortError. */
export async function ask(url, options = {}) {
  let status, type, text;
  try {
    const response = await fetch(url, { cache: "no-store", ...options });
    status = response.status;
    type = response.headers.get("content-type");
    text = await response.text();
  } catch (problem) {
    if (problem.name === "AbortError") throw problem;
    throw new NoAnswer();
  }
  return understood(status, type, text);
}

/** POST a JSON body; otherwise as `ask`. */
export function tell(url, body) {
  return ask(url, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
}

/** Turn a status, content type and text into the answer they mean; throws as `ask` does. */
export function understood(status, type, text) {
  const body = (type || "").includes("json") ? parsed(text) : undefined;
  const ok = status >= 200 && status < 300;
  if (ok && body !== undefined) return body;
  if (body && typeof body.error === "string" && body.error) throw new Refusal(body.error, status);
  // What a proxy says while the server behind it is away.
  if (status === 0 || (status >= 502 && status <= 504)) throw new NoAnswer();
  // Unknown addresses are answered with the app's own page and status 200.
  throw new Refusal(`The server answered with something unexpected (status ${status}).`, status);
}

export function pause(milliseconds) {
  return new Promise((done) => setTimeout(done, milliseconds));
}

/** Milliseconds to wait before the nth try again: 1, 2, 4, then always 5 seconds. */
export function patience(tries) {
  return Math.min(5000, 1000 * 2 ** Math.min(tries, 3));
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
