/** How far this browser has read each session, kept in the origin's storage. */

import { drop, keep, keys, read } from "../net/storage.js";

const PREFIX = "seen.";
const SINCE = "since";

/** What was there before somebody first came is not unread. */
export function firstVisit() {
  const known = read(SINCE);
  if (known) return known;
  const now = new Date().toISOString();
  keep(SINCE, now);
  return now;
}

/** The highest id seen in a session; 0 if none. */
export function seen(sessionId) {
  return Number(read(PREFIX + sessionId)) || 0;
}

export function markSeen(sessionId, id) {
  if (id > seen(sessionId)) keep(PREFIX + sessionId, String(id));
}

/** The ids of another log say nothing about this one. */
export function forgetSeen() {
  for (const key of keys(PREFIX)) drop(key);
}
