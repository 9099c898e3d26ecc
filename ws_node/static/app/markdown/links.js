/** Which addresses may become links. Pure. */

const SCHEMES = new Set(["http:", "https:", "mailto:"]);

/**
 * `{href, host}` of an absolute http, https or mailto address; else null. The host is as the
 * browser resolves it (punycode), whatever the address looks like.
 */
export function safe(address) {
  if (address.length > 2048 || !/^(https?:\/\/|mailto:)/i.test(address)) return null;
  let url;
  try {
    url = new URL(address);
  } catch {
    return null;
  }
  if (!SCHEMES.has(url.protocol) || url.username || url.password) return null;
  return { href: url.href, host: url.protocol === "mailto:" ? url.pathname : url.host };
}
