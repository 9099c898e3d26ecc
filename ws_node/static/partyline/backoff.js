/** Back-off: how long to wait before reconnecting. Pure. */

const FIRST_SECONDS = 0.5;
const MOST_SECONDS = 15;

/**
 * Seconds before attempt number `attempt` (0 is the first after a loss). The delay doubles up to a
 * limit, with random jitter, so that the viewers of a node that died do not all reconnect at once.
 *
 * @param {number} attempt whole, from 0
 * @param {() => number} random from 0 to below 1
 */
export function waitSeconds(attempt, random = Math.random) {
  const most = Math.min(MOST_SECONDS, FIRST_SECONDS * 2 ** Math.min(attempt, 16));
  return most * (0.5 + random() / 2);
}
