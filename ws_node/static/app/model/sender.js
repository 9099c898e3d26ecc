/** A sender's avatar: a colour of its own within a session, and initials. */

export const HUES = 12;

const FIRST = 8;
const STEP = 5; // 150 degrees, so that neighbours differ much; coprime with HUES

/** The colours of the participants of one session. */
export class Colours {
  constructor() {
    this._names = new Map();
  }

  /**
   * A number from 0 to HUES - 1, the same for the same name. Names get colours in the order in
   * which they appear: the first HUES of them differ.
   */
  of(name) {
    let place = this._names.get(name);
    if (place === undefined) this._names.set(name, (place = this._names.size));
    return (FIRST + place * STEP) % HUES;
  }
}

const sessions = new Map();

/** The colours of a session; kept while the page is open. */
export function colours(sessionId) {
  let known = sessions.get(sessionId);
  if (!known) sessions.set(sessionId, (known = new Colours()));
  return known;
}

/** One or two letters: of two words the first ones, of one word its first two. */
export function initials(name) {
  const words = String(name)
    .split(/[^\p{L}\p{N}]+/u)
    .filter(Boolean);
  if (!words.length) return "?";
  const letters =
    words.length > 1 ? words.slice(0, 2).map((w) => [...w][0]) : [...words[0]].slice(0, 2);
  return letters.join("").toUpperCase();
}
