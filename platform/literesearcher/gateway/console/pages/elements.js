// Elements of the page, made by name; text goes in as text, never as markup.

const SVG = "http://www.w3.org/2000/svg";

function filled(node, properties, children) {
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== ""));
  return node;
}

/** An element with attributes (`onclick` and its kind are listeners) and children: nodes or texts. */
export function element(name, properties = {}, ...children) {
  return filled(document.createElement(name), properties, children);
}

/** The same of a drawing. */
export function drawn(name, properties = {}, ...children) {
  return filled(document.createElementNS(SVG, name), properties, children);
}

/** A `details` whose body is made when it is first opened. */
export function folded(summary, body, properties = {}) {
  const fold = element("details", properties, element("summary", {}, summary));
  fold.addEventListener("toggle", () => {
    if (fold.open && fold.children.length === 1) fold.append(body());
  });
  return fold;
}

/** Say something to those who cannot see it happen. */
export function announce(words) {
  document.getElementById("news").textContent = words;
}
