/**
 * The page's storage: localStorage, or memory for the life of the tab where localStorage is blocked
 * or full.
 */

const OURS = "partyline.";
const memory = new Map();

/** Whether localStorage works for this page. */
export const lasting = works();

function works() {
  try {
    localStorage.setItem(`${OURS}probe`, "");
    localStorage.removeItem(`${OURS}probe`);
    return true;
  } catch (error) {
    return error.name === "QuotaExceededError"; // full: it can still be read
  }
}

/** A stored text; null without one. */
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

/** The keys with a prefix, stored or in memory. */
export function keys(prefix = "") {
  const stored = lasting ? Object.keys(localStorage).filter((key) => key.startsWith(OURS)) : [];
  const all = new Set([...stored.map((key) => key.slice(OURS.length)), ...memory.keys()]);
  return [...all].filter((key) => key.startsWith(prefix));
}
