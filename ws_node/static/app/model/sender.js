/** A sender's avatar: a colour and initials derived from the name. Pure. */

export const HUES = 12;

/** A number from 0 to HUES - 1, the same for the same name (FNV-1a). */
export function hue(name) {
  let hash = 0x811c9dc5;
  for (const char of String(name)) {
    hash ^= char.codePointAt(0);
    hash = Math.imul(hash, 0x01000193) >>> 0;
  }
  return ((hash ^ (hash >>> 15)) >>> 0) % HUES;
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
