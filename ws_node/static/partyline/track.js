/**
 * How far one session has been read: the pair of epoch and position, and what a frame means for
 * it. Pure: frames in, a word out.
 */
export class Track {
  /** @param {{since?: number|null, epoch?: string|null}} from where to start; from now without. */
  constructor({ since = null, epoch = null } = {}) {
    this.position = since;
    this.epoch = since === null ? null : epoch;
  }

  /** The command that starts the session (anew) where this is. */
  command(sessionId) {
    const command = { type: "subscribe", session_id: sessionId };
    if (this.position !== null) command.since = this.position;
    if (this.position !== null && this.epoch !== null) command.epoch = this.epoch;
    return command;
  }

  /**
   * Take the answer to a subscription: "started" from now, "resumed" where it was, or "reload":
   * what came after the position cannot be given, and everything shown must be read anew.
   */
  subscribed({ epoch, position, recovered }) {
    const word = !recovered ? "reload" : this.position === null ? "started" : "resumed";
    this.epoch = epoch;
    this.position = position;
    return word;
  }

  /** Whether a frame with that position is new: each is, once. */
  take(position) {
    if (this.position !== null && position <= this.position) return false;
    this.position = position;
    return true;
  }
}
