/** The icons, as paths on a 16 × 16 grid. */

import { svg } from "./dom.js";

const PATHS = {
  public:
    "M8 1.8a6.2 6.2 0 1 0 0 12.4A6.2 6.2 0 0 0 8 1.8M1.8 8h12.4" +
    "M8 1.8c3.6 4 3.6 8.4 0 12.4M8 1.8c-3.6 4-3.6 8.4 0 12.4",
  private: "M3.5 7h9v6.5h-9zM5.5 7V4.8a2.5 2.5 0 0 1 5 0V7",
  agent_only: "M3 5.5h10v7.5H3zM8 5.5V3M8 2.6v.1M6 8.6v1.2M10 8.6v1.2",
  admin_only: "M8 1.8l5 2v4c0 3.2-2.1 5.2-5 6.4-2.9-1.2-5-3.2-5-6.4v-4z",
  search: "M7 2.5a4.5 4.5 0 1 0 0 9 4.5 4.5 0 0 0 0-9M10.5 10.5l3.5 3.5",
  reply: "M6.5 4L2.5 8l4 4M2.5 8h6.2c2.6 0 4.3 1.4 4.8 4",
  react:
    "M8 1.8a6.2 6.2 0 1 0 0 12.4A6.2 6.2 0 0 0 8 1.8" +
    "M5.8 6.4v.1M10.2 6.4v.1M5.4 9.6c1.2 1.6 4 1.6 5.2 0",
  copy: "M5.5 5.5h8v8h-8zM2.5 10.5v-8h8",
  down: "M8 3v10M4 9l4 4 4-4",
  back: "M9.5 3.5L5 8l4.5 4.5",
  export: "M8 2v8M5 7l3 3 3-3M3 13.5h10",
  people:
    "M6 7.5a2.4 2.4 0 1 0 0-4.8 2.4 2.4 0 0 0 0 4.8M1.8 13.3c.3-2.6 2-4 4.2-4s3.9 1.4 4.2 4" +
    "M10.6 3a2.2 2.2 0 0 1 0 4.3M12 9.7c1.3.5 2.1 1.7 2.3 3.6",
  close: "M4 4l8 8M12 4l-8 8",
  link: "M6.5 9.5l3-3M7 4.5l1.5-1.5a2.8 2.8 0 0 1 4 4L11 8.5M9 11.5L7.5 13a2.8 2.8 0 0 1-4-4L5 7.5",
  help:
    "M6 6a2 2 0 1 1 2.6 1.9c-.4.2-.6.5-.6 1v.4M8 11.6v.1" +
    "M8 1.8a6.2 6.2 0 1 0 0 12.4A6.2 6.2 0 0 0 8 1.8",
};

/** A decorative icon, hidden from screen readers: put a text or a label beside it. */
export function icon(name) {
  return svg(
    "svg",
    { class: "icon", viewBox: "0 0 16 16", "aria-hidden": "true", focusable: "false" },
    svg("path", { d: PATHS[name] }),
  );
}
