/** A button that copies text. */

import { announce } from "./announce.js";
import { h } from "./dom.js";
import { icon } from "./icons.js";

/** @param {() => string} text @param {string} label of the button */
export function copyButton(text, label) {
  const word = h("span", {}, "Copy");
  const button = h(
    "button",
    { type: "button", class: "quiet copy", "aria-label": label },
    icon("copy"),
    word,
  );
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(text());
      word.textContent = "Copied";
    } catch {
      word.textContent = "Select it and copy";
    }
    announce(word.textContent);
    setTimeout(() => (word.textContent = "Copy"), 1500);
  });
  return button;
}
