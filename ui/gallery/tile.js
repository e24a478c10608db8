import { pictureOf } from "./images.js";

const RETRIES = 5;
const STATE_WORDS = { unlabelled: "", labelled: "", "none-of-these": "none of these", ignored: "ignored" };

export function element(tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

export function percent(score) {
  return `${(100 * score).toFixed(1)}%`;
}

/** true, false, or null when nobody has said what the image shows. */
export function verdictOf(item) {
  if (!Array.isArray(item.truth)) return null;
  if (typeof item.correct === "boolean") return item.correct;
  if (!item.predicted.length) return item.truth.length === 0;
  return item.predicted.every((label) => item.truth.includes(label));
}

/** A label's chip: a button that makes it the image's default label; the default is encircled in white. */
export function chipOf(label, reachable) {
  const chip = element("button", label.default ? "chip default" : "chip", label.name);
  chip.type = "button";
  chip.tabIndex = reachable ? 0 : -1;
  chip.dataset.label = label.name;
  chip.title = label.default ? `${label.name}: the default label` : `Make ${label.name} the default label`;
  chip.setAttribute("aria-label", chip.title);
  chip.ariaPressed = String(label.default);
  return chip;
}

/** What takes the place of chips on an image without labels; empty when there is nothing to say. */
export function stateOf(item) {
  return item.labels?.length ? "" : (STATE_WORDS[item.state] ?? "");
}

/** A picture that tries again when the server was away, and says so when there is none. */
export function pictureElement(images, item, size) {
  const url = pictureOf(images, item, size);
  if (!url) return element("span", "nopicture", "picture not kept");
  const picture = element("img");
  picture.alt = item.name;
  picture.draggable = false;
  picture.decoding = "async";
  let tries = 0;
  picture.onload = () => picture.classList.remove("missing");
  picture.onerror = () => {
    picture.classList.add("missing");
    if (tries++ < RETRIES) setTimeout(() => picture.isConnected && (picture.src = url), 1000 * 2 ** tries);
  };
  picture.src = url;
  return picture;
}

/** Make or repaint a tile. The picture stays while only the words below it change. */
export function paintTile(tile, images, item, captions) {
  if (tile.dataset.key !== item.key) {
    tile.dataset.key = item.key;
    const ground = element("div", "ground");
    const pick = element("span", "pick", "✓");
    pick.title = "Select";
    pick.ariaHidden = "true";
    const open = element("button", "open", "⤢");
    open.type = "button";
    open.tabIndex = -1;
    open.title = "Open large";
    open.setAttribute("aria-label", `Open ${item.name}`);
    ground.append(pictureElement(images, item, "thumbnail"), pick, open);
    tile.replaceChildren(ground, element("div", "caption"));
  }
  tile.className = "tile";
  tile.setAttribute("aria-label", spoken(item, captions));
  const name = element("div", "name", item.name);
  name.title = item.name;
  const caption = tile.querySelector(".caption");
  if (captions === "scores") caption.replaceChildren(...scoreLines(tile, item, name));
  else caption.replaceChildren(name, labelLine(tile, item));
}

// What a screen reader says of a tile: its parts alone would be a row of buttons.
function spoken(item, captions) {
  if (captions === "scores") {
    const verdict = { true: ", correct", false: ", incorrect", null: "" }[verdictOf(item)];
    return `${item.name}: ${item.predicted.join(", ") || "no label"}${verdict}`;
  }
  const labels = (item.labels ?? []).map((label) => (label.default ? `${label.name} (default)` : label.name));
  return `${item.name}: ${labels.join(", ") || stateOf(item) || "no label"}`;
}

function labelLine(tile, item) {
  tile.classList.toggle("ignored", item.state === "ignored");
  const line = element("div", "chips");
  if (item.split === "validation" || item.split === "test") {
    const split = element("span", "split", item.split);
    split.title = `This image is in the ${item.split} set`;
    line.append(split);
  }
  for (const label of item.labels ?? []) line.append(chipOf(label, false));
  const state = stateOf(item);
  if (state) line.append(element("span", "state", state));
  return line;
}

function scoreLines(tile, item, name) {
  const verdict = verdictOf(item);
  tile.classList.toggle("correct", verdict === true);
  tile.classList.toggle("incorrect", verdict === false);
  const scores = new Map((item.scores ?? []).map((one) => [one.label, one.score]));
  const answer = element("div", "answer");
  if (verdict !== null) {
    const mark = element("span", "mark", verdict ? "✓" : "✗");
    mark.title = verdict ? "Correct" : "Incorrect";
    mark.role = "img";
    mark.setAttribute("aria-label", mark.title);
    answer.append(mark);
  }
  const label = element("span", "predicted", item.predicted.join(", ") || "no label");
  label.title = label.textContent;
  answer.append(label);
  const best = item.predicted.map((name) => scores.get(name)).filter((score) => score !== undefined);
  if (best.length) answer.append(element("span", "score", best.map(percent).join(", ")));
  const truth = element("div", "truth");
  if (verdict === false) truth.textContent = `is ${item.truth.join(", ") || "none of the labels"}`;
  truth.title = truth.textContent;
  return [answer, name, truth];
}

/** Hide the chips that do not fit on a tile behind "+n"; the default label always stays. */
export function fitChips(tile) {
  const line = tile.querySelector(".chips");
  if (!line || line.scrollHeight <= line.clientHeight + 1) return;
  const more = element("span", "more");
  line.append(more);
  const chips = [...line.querySelectorAll(".chip:not(.default)")];
  const hidden = [];
  while (chips.length && line.scrollHeight > line.clientHeight + 1) {
    const chip = chips.pop();
    chip.hidden = true;
    hidden.unshift(chip.dataset.label);
    more.textContent = `+${hidden.length}`;
    more.title = hidden.join(", ");
  }
}
