/**
 * Whether a session is still reading what it missed. The protocol has no mark where the past ends,
 * so this judges by time: it has ended when a message is fresh, or when none came for a while.
 * Pure: the caller gives the time.
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

  /** A durable frame came, made at `timestamp` (ISO 8601; anything else counts as old). */
  take(timestamp, now) {
    if (this._over) return;
    this.messages += 1;
    this._last = now;
    if (now - Date.parse(timestamp) < FRESH_MS) this._over = true;
  }

  over(now) {
    this._over ||= now - this._last >= (this.messages ? QUIET_MS : FIRST_MS);
    return this._over;
  }
}
