/**
 * How far a session has been read: its epoch and position. Pure.
 */
export class Track {
  /**
   * @param {{since?: number|null, epoch?: string|null, presence?: boolean}} from the position to
   *   start after (without it, now), and whether to receive presence events.
   */
  constructor({ since = null, epoch = null, presence = false } = {}) {
    this.position = since;
    this.presence = presence;
    this.epoch = since === null ? null : epoch;
  }

  /** The command that starts or restarts the session at this position. */
  command(sessionId) {
    const command = { type: "subscribe", session_id: sessionId };
    if (this.position !== null) command.since = this.position;
    if (this.position !== null && this.epoch !== null) command.epoch = this.epoch;
    if (this.presence) command.presence = true;
    return command;
  }

  /**
   * Process the answer to a subscription. Returns "started" (from now), "resumed" (at the position)
   * or "reload": the position is not valid, so everything shown must be loaded again.
   */
  subscribed({ epoch, position, recovered }) {
    const word = !recovered ? "reload" : this.position === null ? "started" : "resumed";
    // live frames may have arrived before the answer
    const further = word === "resumed" && this.position > position;
    this.epoch = epoch;
    if (!further) this.position = position;
    return word;
  }

  /** Advance to a position; false if a frame with that position or a later one arrived before. */
  advance(position) {
    if (this.position !== null && position <= this.position) return false;
    this.position = position;
    return true;
  }
}
