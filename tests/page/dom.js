// As much of a document as the page needs to build nodes, for Node.js.

/** A node that keeps nothing: what is measured is the page's work, not the document's. */
const sink = {
  setAttribute() {},
  addEventListener() {},
  append() {},
};

globalThis.document = {
  createElement: () => sink,
  createElementNS: () => sink,
  createTextNode: () => sink,
};
