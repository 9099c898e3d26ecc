/** The read position of each session in this browser. */

import { drop, keep, keys, read } from "../net/storage.js";

const PREFIX = "seen.";
const SINCE = "since";

/** The time of the first visit, stored at that visit: earlier messages do not count as unread. */
export function firstVisit() {
  const known = read(SINCE);
  if (known) return known;
  const now = new Date().toISOString();
  keep(SINCE, now);
  return now;
}

/** The highest id read in a session; 0 without one. */
export function seen(sessionId) {
  return Number(read(PREFIX + sessionId)) || 0;
}

export function markSeen(sessionId, id) {
  if (id > seen(sessionId)) keep(PREFIX + sessionId, String(id));
}

/** Drop all read positions: the log was replaced, and its ids start again. */
export function forgetSeen() {
  for (const key of keys(PREFIX)) drop(key);
}
