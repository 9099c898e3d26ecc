/** A small chart of messages per minute. */

import { svg } from "./dom.js";

const WIDTH = 4;
const HEIGHT = 20;

/** Counts for each of the last `minutes` minutes, oldest first. Pure. */
export function perMinute(timestamps, minutes = 30, now = Date.now()) {
  const counts = new Array(minutes).fill(0);
  for (const timestamp of timestamps) {
    const age = Math.floor((now - timestamp) / 60_000);
    if (age >= 0 && age < minutes) counts[minutes - 1 - age] += 1;
  }
  return counts;
}

/** The chart, labelled with its numbers. */
export function chart(counts) {
  const most = Math.max(1, ...counts);
  const total = counts.reduce((sum, count) => sum + count, 0);
  const label = `${total} messages in ${counts.length} minutes, ${counts.at(-1)} in the last one`;
  const bars = counts.map((count, at) => {
    const height = count ? Math.max(2, (count / most) * HEIGHT) : 1;
    return svg("rect", {
      class: count ? "bar" : "bar none",
      x: at * WIDTH,
      y: HEIGHT - height,
      width: WIDTH - 1,
      height,
    });
  });
  return svg(
    "svg",
    {
      class: "chart",
      role: "img",
      "aria-label": label,
      viewBox: `0 0 ${counts.length * WIDTH} ${HEIGHT}`,
    },
    svg("title", {}, label),
    bars,
  );
}
