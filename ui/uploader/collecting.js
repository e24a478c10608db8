/**
 * Everything that was dropped, folders opened, as `{name, file}`; `unread` gets `{name, sentence}` of what can't be.
 *
 * `transfer.items` is empty once the event is over, so the entries are taken before the first wait.
 */
export async function dropped(transfer, unread, seen) {
  const entries = [...transfer.items].filter((item) => item.kind === "file").map((item) => item.webkitGetAsEntry());
  if (!entries.length || entries.some((entry) => !entry)) return chosen(transfer.files);
  const found = [];
  const open = entries.reverse();
  while (open.length) {
    const entry = open.pop();
    try {
      if (entry.isDirectory) {
        open.push(...(await children(entry)).reverse());
      } else {
        const file = await new Promise((done, failed) => entry.file(done, failed));
        found.push({ name: entry.fullPath.replace(/^\//, ""), file });
        seen(found.length);
      }
    } catch (problem) {
      unread.push({ name: entry.fullPath.replace(/^\//, ""), sentence: `The browser can't read it (${problem.name}).` });
    }
  }
  return found;
}

/** The files of an input or a drop without folders. */
export function chosen(files) {
  return [...files].map((file) => ({ name: file.webkitRelativePath || file.name, file }));
}

/**
 * Leave out files that are here already and number other files of the same name, as two folders may both hold a.jpg.
 *
 * `taken` maps each name to its file and grows.
 */
export function distinct(found, taken) {
  const fresh = [];
  for (const { name, file } of found) {
    let free = name;
    let number = 1;
    while (taken.has(free) && !sameFile(taken.get(free), file)) free = numbered(name, ++number);
    if (taken.has(free)) continue;
    taken.set(free, file);
    fresh.push({ name: free, file });
  }
  return fresh;
}

function sameFile(one, other) {
  return one.size === other.size && one.lastModified === other.lastModified;
}

function numbered(name, number) {
  const [, stem, ending] = /^(.*?)(\.[^./]*)?$/s.exec(name);
  return `${stem} (${number})${ending ?? ""}`;
}

// A folder hands out its entries a hundred at a time, and an empty list when there are no more.
async function children(folder) {
  const reader = folder.createReader();
  const all = [];
  for (;;) {
    const some = await new Promise((done, failed) => reader.readEntries(done, failed));
    if (!some.length) return all;
    all.push(...some);
  }
}
