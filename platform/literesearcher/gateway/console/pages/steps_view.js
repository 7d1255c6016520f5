// The steps of a job, each a turn with its thought in brief and its tool call. Draws a step anew only when it changed,
// and of a long job only the newest until the others are asked for.

import { element, folded } from "./elements.js";
import { count, duration, money, plural } from "./numbers.js";
import { line, outward, passage, place, visible } from "./texts.js";

const DRAWN = 30;
const BRIEF = 240;
const VERDICTS = {
  hit: ["from the cache", "cached"],
  stale: ["from the cache, past its time", "stale"],
  coalesced: ["fetched together with another call", "shared"],
  miss: ["fetched", "fetched"],
};
const KINDS = { compress: "Memory", context_answer: "Last turn" };

export class StepsView {
  constructor() {
    this.list = element("ol", { class: "steps", "aria-label": "Steps of the job" });
    this.earlier = element("button", { type: "button", class: "more", onclick: () => this.#showEarlier() });
    this.node = element("div", {}, this.earlier, this.list);
    this.drawn = new Map();
    this.first = 0;
    this.waiting = new Set();
    this.steps = [];
    /** While what stands in the journal already comes in, only the newest steps stay. */
    this.catchingUp = true;
  }

  /** Draw what changed, all at once and before the next picture of the page. */
  change(steps, step) {
    this.steps = steps;
    if (step) this.waiting.add(step);
    if (this.planned) return;
    this.planned = true;
    requestAnimationFrame(() => this.#draw());
  }

  /** Draw the step if it is not yet, and bring it into view. */
  reveal(step) {
    if (step.number < this.first) this.#showFrom(step.number);
    const card = this.drawn.get(step);
    card?.scrollIntoView({ block: "center" });
    card?.focus();
  }

  #draw() {
    this.planned = false;
    if (this.catchingUp) this.#trim(this.steps.length - DRAWN);
    for (const step of this.steps.slice(this.first)) {
      const old = this.drawn.get(step);
      if (old && !this.waiting.has(step)) continue;
      if (old?.contains(document.activeElement) && step.live) continue;
      const card = stepCard(step);
      if (old) {
        keepOpen(old, card);
        old.replaceWith(card);
      } else this.list.append(card);
      this.drawn.set(step, card);
    }
    this.waiting.clear();
    this.earlier.hidden = this.first === 0;
    this.earlier.textContent = `Show earlier steps (${this.first})`;
  }

  #trim(first) {
    for (let at = this.first; at < first; at += 1) {
      this.drawn.get(this.steps[at])?.remove();
      this.drawn.delete(this.steps[at]);
    }
    this.first = Math.max(this.first, first);
  }

  #showEarlier() {
    this.#showFrom(Math.max(0, this.first - DRAWN));
    if (this.first > 0) this.earlier.focus();
    else this.list.firstElementChild?.focus();
  }

  #showFrom(first) {
    this.catchingUp = false;
    const cards = this.steps.slice(first, this.first).map((step) => {
      const card = stepCard(step);
      this.drawn.set(step, card);
      return card;
    });
    this.list.prepend(...cards);
    this.first = first;
    this.earlier.hidden = first === 0;
    this.earlier.textContent = `Show earlier steps (${first})`;
  }
}

function keepOpen(old, card) {
  const folds = card.querySelectorAll("details");
  old.querySelectorAll("details").forEach((fold, index) => {
    if (fold.open && folds[index]) folds[index].open = true;
  });
}

function stepCard(step) {
  const running = step.to === null;
  const name = `${KINDS[step.kind] ?? "Turn"} ${step.turn}`;
  return element(
    "li",
    { class: `step${running ? " running" : ""}`, tabindex: "-1", "data-turn": step.turn },
    element("h3", {}, name, element("span", { class: "facts" }, turnFacts(step))),
    thoughtPart(step),
    step.tool ? toolPart(step.tool) : null,
    ...step.notes.map((note) => element("p", { class: "note" }, line(note.words, 400))),
  );
}

function turnFacts(step) {
  if (step.to === null) return step.live ? "writing" : "reading";
  const facts = [duration(step.to - step.from)];
  if (step.usage) {
    const cached = step.usage.cached_tokens;
    facts.push(`${count(step.usage.prompt_tokens)} tokens read${cached ? ` (${count(cached)} cached)` : ""}`);
    facts.push(`${count(step.usage.completion_tokens)} written`);
  }
  if (step.cut) facts.push("cut off");
  if (step.finish === "length") facts.push("stopped at its length");
  if (step.tries > 1) facts.push(`${step.tries} tries`);
  return facts.join(" · ");
}

function thoughtPart(step) {
  if (step.live) {
    const tail = visible(step.live.text.slice(-600)).replace(/<\/?(think|tool_call|answer)>/g, " ");
    return element("p", { class: "thought live", dir: "auto" }, tail.replace(/\s+/g, " ").slice(-320));
  }
  const thought = step.thought || step.said || "";
  if (!thought) return null;
  const brief = line(thought, BRIEF);
  return element(
    "div",
    { class: "thought" },
    element("p", { dir: "auto" }, brief),
    brief.endsWith("…") ? folded("Whole thought", () => passage(thought, { most: 4000 })) : null,
  );
}

function toolPart(tool) {
  if (tool.called === false) return element("p", { class: "note", dir: "auto" }, `Told the model: ${line(tool.text, 240)}`);
  if (tool.repeats) return element("p", { class: "note" }, "Asked before: the same text as then");
  const waiting = tool.to === null;
  const lines = waiting ? wished(tool).map((target) => wishLine(tool, target)) : tool.items.map(itemLine);
  return element(
    "div",
    { class: "tool" },
    element("ul", {}, ...lines),
    waiting || !tool.text
      ? null
      : folded(`What the model read (${count(tool.text.length)} characters)`, () => passage(tool.text, { most: 3000 })),
  );
}

function wished(tool) {
  const value = tool.arguments?.[tool.name === "search" ? "query" : "url"];
  return (Array.isArray(value) ? value : [value]).filter((one) => typeof one === "string").slice(0, 50);
}

function wishLine(tool, target) {
  const verb = tool.name === "search" ? "Searching" : "Reading";
  return element("li", {}, tag(verb, "busy"), " ", element("bdi", { class: "target" }, line(target, 200)));
}

function itemLine(item) {
  const [words, kind] = VERDICTS[item.cache] ?? ["", ""];
  const facts = [item.provider, duration(item.elapsed_seconds ?? 0), item.cost_usd ? money(item.cost_usd) : ""];
  const head =
    item.kind === "search"
      ? [tag("Search", "search"), " ", element("bdi", { class: "target" }, line(item.target, 200))]
      : [tag("Page", "page"), " ", outward(item.target, line(item.title || item.target, 140), { class: "target" })];
  return element(
    "li",
    {},
    ...head,
    element(
      "span",
      { class: "facts" },
      item.kind === "page" && item.title ? `${place(item.target)} · ` : "",
      outcome(item),
      words ? tag(words, kind) : "",
      facts.filter(Boolean).map((fact) => ` · ${line(fact, 60)}`).join(""),
    ),
    item.kind === "search" && item.results?.length ? results(item.results) : null,
  );
}

function outcome(item) {
  if (item.ok && item.kind === "search" && !item.results?.length) return "nothing found ";
  return item.ok ? "" : `${line((item.status ?? "failed").replaceAll("_", " "), 60)} `;
}

function results(found) {
  return folded(plural(found.length, "result"), () =>
    element(
      "ol",
      { class: "results" },
      ...found.slice(0, 100).map((one) =>
        element("li", {}, outward(one.url, line(one.title || one.url, 140)), element("span", { class: "facts" }, place(one.url))),
      ),
    ),
  );
}

function tag(words, kind) {
  return element("span", { class: `tag ${kind}` }, words);
}
