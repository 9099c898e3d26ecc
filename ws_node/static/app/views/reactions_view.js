/** Reactions to a message: a chip for each that it has, and a menu of those that one can add. */

import { h } from "../ui/dom.js";
import { written } from "../ui/hidden.js";
import { icon } from "../ui/icons.js";
import { REACTIONS, reacters } from "../model/changes.js";

/**
 * The chips of a message; null if it has none. A click on one adds or removes the viewer's own.
 *
 * @param {{me: string, onReact: ((message, reaction, remove: boolean) => void)|null}} context
 */
export function reactionChips(message, { me, onReact }) {
  const chips = REACTIONS.filter(([reaction]) => message.reactions?.[reaction]?.count).map(
    ([reaction]) => {
      const has = message.reactions[reaction];
      const own = has.names.includes(me);
      const names = written(reacters(has));
      const words = [h("span", {}, reaction), h("b", {}, String(has.count))];
      if (!onReact) return h("li", { class: "chip", title: names }, words, unseen(names));
      return h(
        "li",
        {},
        h(
          "button",
          {
            type: "button",
            class: "chip",
            title: names,
            "aria-pressed": String(own),
            "data-reaction": reaction,
            onclick: () => onReact(message, reaction, own),
          },
          words,
          unseen(names),
        ),
      );
    },
  );
  return chips.length ? h("ul", { class: "reactions", "aria-label": "Reactions" }, chips) : null;
}

const unseen = (names) => h("span", { class: "unseen" }, ` by ${names}`);

/** The button that opens the menu of reactions under a message, and closes it. */
export function reactButton(message, onReact) {
  const button = h(
    "button",
    {
      type: "button",
      class: "quiet react",
      "aria-label": `React to message ${message.id}`,
      "aria-expanded": "false",
      onclick: () => toggle(button, message, onReact),
    },
    icon("react"),
    h("span", {}, "React"),
  );
  return button;
}

function toggle(button, message, onReact) {
  const body = button.closest(".body");
  const open = body.querySelector(":scope > .react-menu");
  const close = () => {
    body.querySelector(":scope > .react-menu").remove();
    button.setAttribute("aria-expanded", "false");
    button.focus();
  };
  if (open) return close();
  const menu = h(
    "div",
    {
      class: "react-menu",
      role: "group",
      "aria-label": "Reactions to choose from",
      onkeydown: (event) => event.key === "Escape" && close(),
    },
    REACTIONS.map(([reaction, meaning]) =>
      h(
        "button",
        {
          type: "button",
          class: "chip",
          title: meaning,
          onclick: () => (close(), onReact(message, reaction, false)),
        },
        reaction,
      ),
    ),
  );
  button.setAttribute("aria-expanded", "true");
  body.querySelector(":scope > .content").after(menu);
  menu.firstElementChild.focus();
}
