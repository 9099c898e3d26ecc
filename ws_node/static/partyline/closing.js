/** What a client does after a close code, by the table of docs/websocket.md. Pure. */

const BAD_TOKEN = 4500;
const FORBIDDEN = 4501;
const TOKEN_EXPIRED = 4503;

/**
 * "reconnect": reconnect with `since`, also after a network failure (such as 1006); "sign-in":
 * another token is needed; "closed": do not reconnect, the request is not valid.
 */
export function afterClose(code) {
  if (code === BAD_TOKEN || code === FORBIDDEN || code === TOKEN_EXPIRED) return "sign-in";
  if (code >= 4500 && code <= 4999) return "closed";
  return "reconnect";
}
