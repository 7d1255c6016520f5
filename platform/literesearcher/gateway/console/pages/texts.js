// Texts of models, pages and users made safe to look at: what cannot be seen is left out, links lead to the web only,
// and long texts are drawn in pieces.

import { element } from "./elements.js";

// Controls but for line feed and tab; marks that turn the direction of what follows; what has no width; tag characters.
const UNSEEN =
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]|\udb40[\udc00-\udc7f]/g;
const ADDRESS = /https?:\/\/[^\s<>"'`{}|\\^\u3000-\u303f\uff00-\uffef]{1,2000}/gi;
const PIECE = 100_000;

/** The text without what cannot be seen. */
export function visible(text) {
  return String(text).replace(/\r\n?/g, "\n").replace(UNSEEN, "");
}

/** One line of at most `width` characters. Only as much of a long text is looked at. */
export function line(text, width = 160) {
  const seen = visible(String(text).slice(0, width * 4)).replace(/\s+/g, " ").trim();
  const letters = [...seen];
  const cut = letters.length > width || String(text).length > width * 4;
  return cut ? `${letters.slice(0, width - 1).join("").trimEnd()}…` : seen;
}

/** The address where it is one of the web, else null. */
export function webAddress(text) {
  if (typeof text !== "string" || text.length > 8000) return null;
  try {
    const address = new URL(text.trim());
    return address.protocol === "http:" || address.protocol === "https:" ? address : null;
  } catch {
    return null;
  }
}

/** A link that opens in a window of its own and tells nobody where it came from; plain text where it leads elsewhere. */
export function outward(url, label, properties = {}) {
  const address = webAddress(url);
  if (address === null) return element("span", { ...properties, dir: "auto" }, label);
  return element(
    "a",
    { ...properties, dir: "auto", href: address.href, target: "_blank", rel: "noopener noreferrer" },
    label,
  );
}

/** Where an address leads, in few words: its host, which a name or a path cannot feign. */
export function place(url) {
  const address = webAddress(url);
  return address === null ? line(url, 80) : address.hostname;
}

function withLinks(text) {
  const parts = [];
  let at = 0;
  for (const found of text.matchAll(ADDRESS)) {
    const shown = found[0].replace(/[.,;:!?)\]}*_]+$/, "");
    if (webAddress(shown) === null) continue;
    parts.push(text.slice(at, found.index), outward(shown, shown));
    at = found.index + shown.length;
  }
  parts.push(text.slice(at));
  return parts;
}

/** A text with its line breaks; beyond `most` characters the rest comes, piece by piece, when it is asked for. */
export function passage(text, { most = 1500, links = false, name = "div", kind = "passage" } = {}) {
  const whole = String(text);
  const box = element(name, { class: kind, dir: "auto" });
  let at = 0;
  const more = element("button", { type: "button", class: "more", onclick: () => show(PIECE) });
  function show(count) {
    let end = Math.min(whole.length, at + count);
    // Not in the middle of a character.
    if (end < whole.length && /[\ud800-\udbff]/.test(whole[end - 1])) end += 1;
    const piece = visible(whole.slice(at, end));
    more.remove();
    box.append(...(links ? withLinks(piece) : [piece]));
    at = end;
    if (at < whole.length) {
      const left = (whole.length - at).toLocaleString("en");
      more.textContent = whole.length - at > PIECE ? `Show more (${left} characters left)` : `Show all (${left} more characters)`;
      box.append(more);
    }
  }
  show(whole.length > most * 1.2 ? most : whole.length);
  return box;
}
