/**
 * A long list in chunks. The browser skips layout and painting of a whole chunk that is out of view
 * (`content-visibility`), and has few elements to check.
 */

import { h } from "./dom.js";

const MOST = 60;

export class Chunks {
  constructor() {
    this.element = h("div", { class: "messages" });
  }

  /** Insert an item before another one of the list, or at the end. */
  insert(item, before) {
    if (!before) return this.append(item);
    const chunk = before.parentElement;
    chunk.insertBefore(item, before);
    if (chunk.children.length > MOST) this._split(chunk);
  }

  append(item) {
    let last = this.element.lastElementChild;
    if (!last || last.children.length >= MOST) this.element.append((last = make()));
    last.append(item);
  }

  clear() {
    this.element.replaceChildren();
  }

  /** Whether one item stands right before another. */
  adjacent(one, other) {
    if (one.nextElementSibling) return one.nextElementSibling === other;
    return one.parentElement?.nextElementSibling?.firstElementChild === other;
  }

  /** The first item whose bottom is below a height in the window; null without one. */
  firstBelow(top) {
    for (const chunk of this.element.children) {
      if (chunk.getBoundingClientRect().bottom <= top) continue;
      for (const item of chunk.children) if (item.getBoundingClientRect().bottom > top) return item;
    }
    return null;
  }

  /** Remove items at the start that are no messages, and empty chunks. */
  tidy() {
    for (const chunk of [...this.element.children]) {
      while (chunk.firstElementChild && !chunk.firstElementChild.dataset.id)
        chunk.firstElementChild.remove();
      if (chunk.children.length) return;
      chunk.remove();
    }
  }

  _split(chunk) {
    const first = make();
    first.append(...[...chunk.children].slice(0, MOST / 2));
    this.element.insertBefore(first, chunk);
  }
}

function make() {
  return h("ol", { class: "chunk", "aria-label": "Messages" });
}
