/** Mentions in a message's text; those of the reader stand out most. */

import { calls, mentions } from "../model/mentions.js";
import { h } from "./dom.js";
import { shown } from "./hidden.js";

let reader = null;

/** Set who reads this page. */
export function setReader(name) {
  reader = name;
}

/** A text of participants as nodes: mentions and hidden characters are marked. */
export function withMentions(text) {
  return mentions(text).flatMap((piece) => {
    if (piece.name === undefined) return shown(piece.text);
    const own = reader !== null && calls(piece.name, reader);
    return h("span", { class: own ? "mention own" : "mention" }, piece.text);
  });
}
