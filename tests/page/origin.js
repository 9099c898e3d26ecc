// As much of a page's origin as its requests need, for Node.js: storage, and a server that answers
// when the test says so.

/** What the page keeps. */
export const kept = new Map();

/** Requests in their order: `{content, answer(status, value)}`. */
export const asked = [];

globalThis.localStorage = {
  getItem: (key) => kept.get(key) ?? null,
  setItem: (key, text) => kept.set(key, text),
  removeItem: (key) => kept.delete(key),
};
globalThis.location = { origin: "http://127.0.0.1" };
globalThis.fetch = (_url, { body }) =>
  new Promise((resolve) => {
    const answer = (status, value) => resolve(new Response(JSON.stringify(value), { status }));
    asked.push({ content: JSON.parse(body).content, answer });
  });
