/**
 * Whether a session is still being replayed. The protocol does not mark the end of a replay, so
 * this estimates it: it is over when a message is recent, or when none arrived for a while. Pure:
 * the caller gives the time.
 */
export const QUIET_MS = 300;
const FIRST_MS = 5000; // a node that has just started reads the log itself first
const FRESH_MS = 2000;

export class CatchUp {
  /** @param {number} now in ms of Unix time, when the subscription was answered. */
  constructor(now) {
    this.messages = 0;
    this._last = now;
    this._over = false;
  }

  /** A message arrived, committed at `timestamp` (ISO 8601; anything else counts as old). */
  received(timestamp, now) {
    if (this._over) return;
    this.messages += 1;
    this._last = now;
    if (now - Date.parse(timestamp) < FRESH_MS) this._over = true;
  }

  /** Whether the replay is over at `now`. */
  over(now) {
    this._over ||= now - this._last >= (this.messages ? QUIET_MS : FIRST_MS);
    return this._over;
  }
}
