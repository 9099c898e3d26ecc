/**
 * What this origin keeps in the browser. Where that is blocked or full, it is kept in memory as
 * long as the tab is open, so that everything else works.
 */

const OURS = "partyline.";
const memory = new Map();

/** Whether the browser keeps anything for this page. */
export const lasting = works();

function works() {
  try {
    localStorage.setItem(`${OURS}probe`, "");
    localStorage.removeItem(`${OURS}probe`);
    return true;
  } catch (error) {
    return error.name === "QuotaExceededError"; // full: what is there can still be read
  }
}

/** A kept text; null without one. */
export function read(key) {
  if (memory.has(key)) return memory.get(key);
  return lasting ? localStorage.getItem(OURS + key) : null;
}

export function keep(key, text) {
  try {
    localStorage.setItem(OURS + key, text);
    memory.delete(key);
  } catch {
    memory.set(key, text);
  }
}

export function drop(key) {
  memory.delete(key);
  if (lasting) localStorage.removeItem(OURS + key);
}

/** The keys that begin with a text, here and in memory. */
export function keys(prefix = "") {
  const stored = lasting ? Object.keys(localStorage).filter((key) => key.startsWith(OURS)) : [];
  const all = new Set([...stored.map((key) => key.slice(OURS.length)), ...memory.keys()]);
  return [...all].filter((key) => key.startsWith(prefix));
}
