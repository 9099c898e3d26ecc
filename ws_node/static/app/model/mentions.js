/** Mentions in a text that is not code, by the rule of mcp_node/inbox/mentions.py. Pure. */

const MENTION =
  /(?<![\w.@/+-])@((?:guest:)?[A-Za-z0-9][\w.-]{0,63}(?:\/[A-Za-z0-9][\w.-]{0,63})?)/g;

/** Split a text into `{text}` and `{text: "@name", name}` pieces. */
export function mentions(text) {
  if (!text.includes("@")) return text ? [{ text }] : [];
  const found = [];
  let start = 0;
  for (const { 1: written, index } of text.matchAll(MENTION)) {
    let length = written.length; // dots, hyphens and underscores at the end belong to the sentence
    while ("._-".includes(written[length - 1])) length -= 1;
    const name = written.slice(0, length);
    if (index > start) found.push({ text: text.slice(start, index) });
    found.push({ text: `@${name}`, name });
    start = index + 1 + length;
  }
  if (start < text.length) found.push({ text: text.slice(start) });
  return found;
}

/** Whether a mention of `name` calls `principal`: it, or one of its sub-agents. */
export function calls(name, principal) {
  const [called, own] = [name.toLowerCase(), principal.toLowerCase()];
  return called === own || called.startsWith(`${own}/`);
}
