// The answer of a job, and beside it the sources with the words that it rests on.

import { element } from "./elements.js";
import { line, outward, passage, place } from "./texts.js";

const NO_MODEL = "No language model wrote this: the extractive engine quotes the passage that scores best.";

/** `output` as the API gives it, or null. `shown(seq)` takes the reader to the step that read a source. */
export function answerView({ output, status, languageModel, shown }) {
  const heading = status === "completed" ? "Answer" : "Best so far, no answer";
  const text = output?.text ?? "";
  const copy = element("button", { type: "button", class: "quiet", onclick: () => copied(copy, text) }, "Copy");
  const answer = element(
    "section",
    { class: "card answer", "aria-labelledby": "answer" },
    element("h2", { id: "answer" }, heading, navigator.clipboard ? copy : null),
    passage(text, { most: 20_000, links: true }),
    languageModel ? null : element("p", { class: "hint" }, NO_MODEL),
  );
  const citations = output?.citations ?? [];
  const sources = element(
    "section",
    { class: "card sources", "aria-labelledby": "sources" },
    element("h2", { id: "sources" }, `Sources (${citations.length})`),
    citations.length
      ? element("ol", {}, ...citations.slice(0, 200).map((cited) => source(cited, shown)))
      : element("p", { class: "hint" }, "The answer names no page that was read."),
  );
  return element("div", { class: "answered" }, answer, sources);
}

function source(cited, shown) {
  return element(
    "li",
    {},
    outward(cited.url, line(cited.title || cited.url, 140), { class: "source-title" }),
    element("span", { class: "facts" }, place(cited.url)),
    cited.quote ? passage(cited.quote, { most: 600, name: "blockquote", kind: "passage quote" }) : null,
    element(
      "button",
      { type: "button", class: "quiet", onclick: () => shown(cited.seq), "aria-label": `Where ${line(cited.title || cited.url, 60)} was read` },
      "Where it was read",
    ),
  );
}

async function copied(button, text) {
  await navigator.clipboard.writeText(text).then(
    () => (button.textContent = "Copied"),
    () => (button.textContent = "Not allowed"),
  );
}
