/** Times for people: local time on the page, UTC in the tooltip. */

import { h } from "./dom.js";

const clock = new Intl.DateTimeFormat([], { hour: "2-digit", minute: "2-digit" });
const withSeconds = new Intl.DateTimeFormat([], {
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
});
const day = new Intl.DateTimeFormat([], { weekday: "short", day: "numeric", month: "short" });
const wholeDay = new Intl.DateTimeFormat([], { dateStyle: "full" });
const dayAndYear = new Intl.DateTimeFormat([], { dateStyle: "medium" });

/** `2026-11-23T21:30:00.123456Z` as `2026-11-23 21:30:00 UTC`. */
export function utc(timestamp) {
  const date = new Date(timestamp);
  return Number.isNaN(date.valueOf())
    ? "no time"
    : `${date.toISOString().slice(0, 19).replace("T", " ")} UTC`;
}

/** The time of a message. */
export function timeOf(timestamp) {
  const date = new Date(timestamp);
  const valid = !Number.isNaN(date.valueOf());
  const words = valid ? `${withSeconds.format(date)} here, ${utc(timestamp)}` : "no time";
  return h(
    "time",
    { datetime: valid ? date.toISOString() : null, title: words },
    valid ? clock.format(date) : "–",
  );
}

/** "14:05" for today, "3 Nov" for earlier days. */
export function whenShort(timestamp, now = new Date()) {
  const date = new Date(timestamp);
  if (Number.isNaN(date.valueOf())) return "";
  if (date.toDateString() === now.toDateString()) return clock.format(date);
  return date.getFullYear() === now.getFullYear() ? day.format(date) : dayAndYear.format(date);
}

/** A separator before the messages of a day. It says the date: "today" would be wrong tomorrow. */
export function daySeparator(timestamp) {
  const date = new Date(timestamp);
  const words = Number.isNaN(date.valueOf()) ? "no date" : wholeDay.format(date);
  return h("div", { class: "day" }, h("span", {}, words));
}

/** "just now", "5 min", "3 h", "2 d". */
export function ago(timestamp, now = Date.now()) {
  const seconds = Math.max(0, (now - Date.parse(timestamp)) / 1000);
  if (!(seconds >= 0)) return "";
  if (seconds < 60) return "just now";
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  return seconds < 86_400 ? `${Math.floor(seconds / 3600)} h` : `${Math.floor(seconds / 86_400)} d`;
}
