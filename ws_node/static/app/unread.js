/** How far this browser has read each session, kept in the origin's storage. */

const PREFIX = "partyline.seen.";
const SINCE = "partyline.since";

/** What was there before somebody first came is not unread. */
export function firstVisit() {
  const known = localStorage.getItem(SINCE);
  if (known) return known;
  const now = new Date().toISOString();
  localStorage.setItem(SINCE, now);
  return now;
}

/** The highest id seen in a session; 0 if none. */
export function seen(sessionId) {
  return Number(localStorage.getItem(PREFIX + sessionId)) || 0;
}

export function markSeen(sessionId, id) {
  if (id > seen(sessionId)) localStorage.setItem(PREFIX + sessionId, String(id));
}

/** The ids of another log say nothing about this one. */
export function forget(sessionId) {
  localStorage.removeItem(PREFIX + sessionId);
}
