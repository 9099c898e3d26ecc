/**
 * Hidden characters: invisible, but a model reads them. The page shows them and control characters
 * as marks with their codes. The table is the server's.
 */

import { h } from "./dom.js";
import { HIDDEN, NEEDED } from "./hidden_table.js";

const CONTROLS = "[\\u0000-\\u0008\\u000B\\u000C\\u000E-\\u001F\\u007F-\\u009F\\u2028\\u2029]";
export const ANY = new RegExp(`${HIDDEN}|${CONTROLS}`, "u");
export const FIND = new RegExp(`(${NEEDED})|${HIDDEN}|${CONTROLS}`, "gu");
const NAMED = 3;

/** Markdown marks to remove from a text shown on one line. */
const MARKS = /^ {0,3}#{1,6} |^ {0,3}(?:```|~~~)\S*$|\*\*|`/gm;

/** White space except U+FEFF, which is shown. */
const SPACE = /(?:(?!\uFEFF)\s)+/g;

/** Split a text into `{text}` and `{hidden: [codes]}` pieces. Pure. */
export function pieces(text) {
  if (!ANY.test(text)) return text ? [{ text }] : [];
  const found = [];
  let start = 0;
  let run = null; // the hidden characters that end at `start`
  for (const { 0: char, 1: needed, index } of text.matchAll(FIND)) {
    if (needed !== undefined) continue;
    if (index > start) found.push({ text: text.slice(start, index) });
    if (index > start || run === null) found.push({ hidden: (run = []) });
    run.push(char.codePointAt(0));
    start = index + char.length;
  }
  if (start < text.length) found.push({ text: text.slice(start) });
  return found;
}

/** A text with hidden characters replaced by their codes, `[U+200B]`. Pure. */
export function written(text) {
  const parts = pieces(text).map((piece) => piece.text ?? `[${piece.hidden.map(name).join(" ")}]`);
  return parts.join("");
}

/** JSON with hidden characters escaped, `\\u200b`; its value is the same. Pure. */
export function escaped(json) {
  return json.replace(FIND, (chars, needed) => (needed === undefined ? escape(chars) : chars));
}

/** A text of participants as nodes, hidden characters as marks. */
export function shown(text) {
  if (!ANY.test(text)) return text ? [document.createTextNode(text)] : [];
  return pieces(text).map((piece) =>
    piece.hidden ? mark(piece.hidden) : document.createTextNode(piece.text),
  );
}

/** Like `shown`, on one line of at most `most` characters. */
export function line(text, most = 140) {
  const spaced = text
    .slice(0, most * 4)
    .replace(MARKS, "")
    .replace(SPACE, " ");
  const chars = [...spaced.replace(/^ | $/g, "")];
  return shown(chars.length > most ? `${chars.slice(0, most).join("")}…` : chars.join(""));
}

/** A badge with the number of hidden characters, as the server counted them; null for none. */
export function hiddenBadge(count) {
  if (!count) return null;
  const words = `${count} hidden character${count === 1 ? "" : "s"}`;
  const meaning = "Nobody sees them, but a model reads them. Here they are shown by their codes.";
  return h("span", { class: "badge hidden-count", title: meaning }, words);
}

function mark(codes) {
  const more = codes.length > NAMED ? ` +${codes.length - NAMED}` : "";
  const title = codes.length > 1 ? `${codes.length} hidden characters` : "A hidden character";
  const names = codes.slice(0, NAMED).map(name).join(" ");
  return h("span", { class: "hidden-characters", title }, names + more);
}

function escape(chars) {
  const units = chars.split("");
  return units.map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`).join("");
}

function name(code) {
  return `U+${code.toString(16).toUpperCase().padStart(4, "0")}`;
}
