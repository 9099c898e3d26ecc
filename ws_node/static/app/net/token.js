/** The viewer's token, in the page's storage. */

import { keep, read } from "./storage.js";

const KEY = "token";

/** The stored token; null without one. */
export function token() {
  return read(KEY);
}

export function keepToken(text) {
  keep(KEY, text);
}
