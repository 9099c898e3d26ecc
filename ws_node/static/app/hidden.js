/**
 * Characters that nobody sees but that change what is read: bidirectional controls, zero-width
 * and tag characters, controls. They are shown by their code, as marks.
 */

import { h } from "./dom.js";

const HIDDEN =
  "\\u0000-\\u0008\\u000B\\u000C\\u000E-\\u001F\\u007F-\\u009F\\u00AD\\u034F\\u061C\\u115F\\u1160" +
  "\\u17B4\\u17B5\\u180B-\\u180E\\u200B-\\u200F\\u2028-\\u202E\\u2060-\\u206F\\u3164" +
  "\\uFE00-\\uFE0E" +
  "\\uFEFF\\uFFA0\\uFFF9-\\uFFFB\\u{E0000}-\\u{E0FFF}";

/** Runs that belong to what they stand in: joined emoji, flags of regions, joiners of scripts. */
const RIGHTFUL =
  "\\p{Extended_Pictographic}\\p{Emoji_Modifier}?\\uFE0F?" +
  "(?:\\u200D\\p{Extended_Pictographic}\\p{Emoji_Modifier}?\\uFE0F?)+" +
  "|\\u{1F3F4}[\\u{E0030}-\\u{E0039}\\u{E0061}-\\u{E007A}]{2,6}\\u{E007F}" +
  "|(?<=[\\p{Script=Arabic}\\p{Script=Devanagari}\\p{Script=Bengali}\\p{Script=Gujarati}" +
  "\\p{Script=Tamil}" +
  "\\p{Script=Telugu}\\p{Script=Kannada}\\p{Script=Malayalam}\\p{Script=Sinhala}" +
  "\\p{Script=Khmer}])[\\u200C\\u200D]";

const FIND = new RegExp(`(${RIGHTFUL})|([${HIDDEN}]+)`, "gu");
const ANY = new RegExp(`[${HIDDEN}]`, "u");
const NAMED = 3;

/** Markdown that says nothing on one line. */
const MARKS = /^ {0,3}#{1,6} |^ {0,3}(?:```|~~~)\S*$|\*\*|`/gm;

/** Text in pieces: `{text}` to be read as it is, `{hidden: [codes]}` to be shown. Pure. */
function pieces(text) {
  if (!ANY.test(text)) return text ? [{ text }] : [];
  const found = [];
  let start = 0;
  for (const match of text.matchAll(FIND)) {
    if (match[1] !== undefined) continue;
    if (match.index > start) found.push({ text: text.slice(start, match.index) });
    found.push({ hidden: [...match[2]].map((char) => char.codePointAt(0)) });
    start = match.index + match[2].length;
  }
  if (start < text.length) found.push({ text: text.slice(start) });
  return found;
}

/** Participants' text as nodes. */
export function shown(text) {
  return pieces(text).map((piece) =>
    piece.hidden ? mark(piece.hidden) : document.createTextNode(piece.text),
  );
}

/** The same on one line and not longer than `most` characters. */
export function line(text, most = 140) {
  const flat = text
    .slice(0, most * 4)
    .replace(MARKS, "")
    .replace(/\s+/g, " ")
    .trim();
  const chars = [...flat];
  return shown(chars.length > most ? `${chars.slice(0, most).join("")}…` : flat);
}

function mark(codes) {
  const names = codes
    .slice(0, NAMED)
    .map((code) => `U+${code.toString(16).toUpperCase().padStart(4, "0")}`);
  const more = codes.length > NAMED ? ` +${codes.length - NAMED}` : "";
  const title = codes.length > 1 ? `${codes.length} hidden characters` : "A hidden character";
  return h("span", { class: "hidden-characters", title }, names.join(" ") + more);
}
