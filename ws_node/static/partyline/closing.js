/** What a close code asks of a client: the table of docs/websocket.md. Pure. */

const BAD_TOKEN = 4500;
const FORBIDDEN = 4501;
const TOKEN_EXPIRED = 4503;

/**
 * "reconnect": come back with `since`, which is also right after a lost network (1006 and the
 * like); "sign-in": another token is needed; "closed": nothing helps, the request itself is wrong.
 */
export function afterClose(code) {
  if (code === BAD_TOKEN || code === FORBIDDEN || code === TOKEN_EXPIRED) return "sign-in";
  if (code >= 4500 && code <= 4999) return "closed";
  return "reconnect";
}
