/** Folding of long texts: only their beginning is rendered until they are unfolded. */

import { h } from "../ui/dom.js";
import { markdown } from "../markdown/render.js";

const MOST_CHARS = 2400;
const MOST_LINES = 30;
const number = new Intl.NumberFormat();

/** The part of a text that is shown folded: all of it, or whole lines of its beginning. Pure. */
export function beginning(text) {
  let end = text.length > MOST_CHARS * 1.25 ? MOST_CHARS : text.length;
  for (let at = -1, lines = 0; (at = text.indexOf("\n", at + 1)) >= 0 && at < end;) {
    lines += 1;
    if (lines === MOST_LINES && text.length - at > 400) end = at;
  }
  if (end === text.length) return text;
  const lineEnd = text.lastIndexOf("\n", end);
  const cut = lineEnd > end / 2 ? lineEnd : end;
  const split = cut < text.length && isLowSurrogate(text.charCodeAt(cut));
  return text.slice(0, split ? cut - 1 : cut);
}

/** A text as Markdown, folded if it is long. */
export function folded(text) {
  const start = beginning(text);
  const content = h("div", { class: "markdown" }, markdown(start));
  if (start === text) return content;
  const words = `Show all ${number.format(text.length)} characters`;
  const button = h("button", { type: "button", class: "unfold", "aria-expanded": "false" }, words);
  let open = false;
  button.addEventListener("click", () => {
    open = !open;
    content.replaceChildren(...markdown(open ? text : start));
    content.classList.toggle("cut", !open);
    button.textContent = open ? "Show less" : words;
    button.setAttribute("aria-expanded", String(open));
  });
  content.classList.add("cut");
  return h("div", {}, content, button);
}

function isLowSurrogate(code) {
  return code >= 0xdc00 && code <= 0xdfff;
}
