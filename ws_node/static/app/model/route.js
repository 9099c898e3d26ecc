/** Addresses in the page: `#/`, `#/s/{session}`, `#/s/{session}/{message}`, `#/search/{words}`. */

/** Parse a fragment. Pure. */
export function parse(fragment) {
  const parts = fragment.replace(/^#\/?/, "").split("/");
  const [kind, name, id] = parts.map(decoded);
  if (kind === "s" && /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(name ?? ""))
    return { screen: "session", session: name, message: /^\d{1,16}$/.test(id) ? Number(id) : null };
  if (kind === "search") return { screen: "search", words: name ?? "" };
  return { screen: "list" };
}

export const toSession = (session, message) =>
  `#/s/${encodeURIComponent(session)}${message ? `/${message}` : ""}`;
export const toSearch = (words) => `#/search/${encodeURIComponent(words)}`;
export const toList = "#/";

export function current() {
  return parse(location.hash);
}

function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return "";
  }
}
