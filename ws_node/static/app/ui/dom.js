/** Makes elements without parsing markup: every string becomes a text node. */

const SVG = "http://www.w3.org/2000/svg";

/**
 * Make an element. `attributes`: `class`, `on…` listeners, booleans, and attributes by name (null
 * and false are left out). `children`: nodes, strings, arrays of them; null and false are left out.
 */
export function h(tag, attributes = {}, ...children) {
  return build(document.createElement(tag), attributes, children);
}

/** Make an SVG element; otherwise like `h`. */
export function svg(tag, attributes = {}, ...children) {
  return build(document.createElementNS(SVG, tag), attributes, children);
}

function build(element, attributes, children) {
  for (const name of Object.keys(attributes)) {
    const value = attributes[name];
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  add(element, children);
  return element;
}

/** Appends one by one: a hundred thousand arguments of one call would overflow the stack. */
function add(element, child) {
  if (Array.isArray(child)) for (const one of child) add(element, one);
  else if (child !== null && child !== undefined && child !== false) element.append(child);
}

/** Replace the children of an element. */
export function fill(element, ...children) {
  element.replaceChildren();
  add(element, children);
  return element;
}
