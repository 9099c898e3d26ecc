/**
 * How far one session has been read: the pair of epoch and position, and what a frame means for
 * it. Pure: frames in, a word out.
 */
export class Track {
  /**
   * @param {{since?: number|null, epoch?: string|null, presence?: boolean}} from where to start,
   *   from now without; and whether to be told who is there.
   */
  constructor({ since = null, epoch = null, presence = false } = {}) {
    this.position = since;
    this.presence = presence;
    this.epoch = since === null ? null : epoch;
  }

  /** The command that starts the session (anew) where this is. */
  command(sessionId) {
    const command = { type: "subscribe", session_id: sessionId };
    if (this.position !== null) command.since = this.position;
    if (this.position !== null && this.epoch !== null) command.epoch = this.epoch;
    if (this.presence) command.presence = true;
    return command;
  }

  /**
   * Take the answer to a subscription: "started" from now, "resumed" where it was, or "reload":
   * what came after the position cannot be given, and everything shown must be read anew.
   */
  subscribed({ epoch, position, recovered }) {
    const word = !recovered ? "reload" : this.position === null ? "started" : "resumed";
    const further = word === "resumed" && this.position > position; // frames were on their way
    this.epoch = epoch;
    if (!further) this.position = position;
    return word;
  }

  /** Whether a frame with that position is new: each is, once. */
  take(position) {
    if (this.position !== null && position <= this.position) return false;
    this.position = position;
    return true;
  }
}
