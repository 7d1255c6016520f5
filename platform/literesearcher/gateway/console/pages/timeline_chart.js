// A job's time drawn: who worked when (queue, model, search, pages), how many tokens each turn read and wrote, what the
// tools cost; and the same as a table.

import { drawn, element, folded } from "./elements.js";
import { count, duration, money } from "./numbers.js";

const LANES = [
  ["queue", "Queue"],
  ["model", "Model"],
  ["search", "Search"],
  ["visit", "Pages"],
];
const LEFT = 72;
const LANE = 24;
const BAR = 14;
const TOKENS = 64;
const COST = 40;

/** { node, draw(journal, now) }. Fills the width it gets. */
export function timelineChart() {
  const frame = element("div", { class: "chart" });
  const sums = element("dl", { class: "sums" });
  const table = folded("As a table", () => asTable(last.journal));
  const node = element("div", {}, sums, frame, table);
  const last = {};
  function draw(journal, now) {
    Object.assign(last, { journal, now });
    if (!journal.created) return;
    const spans = spansOf(journal, now);
    sums.replaceChildren(...summed(journal, spans));
    frame.replaceChildren(picture(journal, spans, now, Math.max(280, frame.clientWidth || 700)));
    if (table.open && journal.ended && table.children.length > 1) table.lastChild.replaceWith(asTable(journal));
  }
  new ResizeObserver(() => {
    if (last.journal && Math.abs(frame.clientWidth - (last.width ?? 0)) > 1) {
      last.width = frame.clientWidth;
      draw(last.journal, last.now);
    }
  }).observe(frame);
  return { node, draw };
}

function spansOf(journal, now) {
  const taken = journal.attempts[0]?.at ?? journal.ended?.at ?? now;
  const spans = [{ lane: "queue", from: journal.created.at, to: taken, label: "in the queue" }];
  for (const step of journal.steps) {
    spans.push({ lane: "model", from: step.from, to: step.to ?? now, label: `turn ${step.turn}` });
    if (step.tool && step.tool.called !== false) {
      const lane = step.tool.name === "search" ? "search" : "visit";
      spans.push({ lane, from: step.tool.from, to: step.tool.to ?? now, label: `turn ${step.turn}, ${step.tool.name}` });
    }
  }
  return spans;
}

function spent(spans, lane) {
  return spans.filter((span) => span.lane === lane).reduce((sum, span) => sum + Math.max(0, span.to - span.from), 0);
}

function summed(journal, spans) {
  const { sums } = journal;
  const facts = [
    ["Model", duration(spent(spans, "model"))],
    ["Tools", duration(spent(spans, "search") + spent(spans, "visit"))],
    ["Queue", duration(spent(spans, "queue"))],
    ["Tokens read", count(sums.prompt)],
    ["of them cached", count(sums.cached)],
    ["Tokens written", count(sums.generated)],
    ["Cost of tools", money(sums.cost)],
  ];
  return facts.map(([name, value]) => element("div", {}, element("dt", {}, name), element("dd", {}, value)));
}

function picture(journal, spans, now, width) {
  const start = journal.created.at;
  const length = Math.max(0.001, (journal.ended?.at ?? now) - start);
  const x = (at) => LEFT + ((Math.min(Math.max(at, start), start + length) - start) / length) * (width - LEFT - 8);
  const turns = journal.steps.filter((step) => step.usage);
  const costs = costsOf(journal);
  const lanesEnd = LANES.length * LANE + 8;
  const tokensEnd = lanesEnd + TOKENS + 16;
  const end = tokensEnd + (costs.length ? COST + 12 : 0);
  const parts = [...grid(x, start, length, end, width)];
  LANES.forEach(([lane, name], row) => {
    parts.push(drawn("text", { x: 0, y: row * LANE + 16, class: "lane" }, name));
    for (const span of spans.filter((one) => one.lane === lane)) {
      const wide = Math.max(1.5, x(span.to) - x(span.from));
      const told = drawn("title", {}, `${span.label}: ${duration(span.to - span.from)}`);
      const box = { x: x(span.from), y: row * LANE + 5, width: wide, height: BAR, rx: 2, class: `bar ${lane}` };
      parts.push(drawn("rect", box, told));
    }
  });
  parts.push(...tokenBars(turns, x, lanesEnd, tokensEnd, length));
  if (costs.length) parts.push(...costLine(costs, journal.sums.cost, x, start + length, tokensEnd + 12, end));
  const words = `Timeline of ${duration(length)}: model ${duration(spent(spans, "model"))}, tools ${duration(
    spent(spans, "search") + spent(spans, "visit"),
  )}, ${count(journal.sums.prompt)} tokens read, ${count(journal.sums.generated)} written.`;
  const size = { width, height: end + 22, viewBox: `0 0 ${width} ${end + 22}` };
  return drawn("svg", { ...size, role: "img", "aria-label": words }, ...parts);
}

function grid(x, start, length, end, width) {
  const few = width < 520 ? 3 : 6;
  const steps = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400, 172800];
  const step = steps.find((one) => length / one <= few) ?? length / few;
  const parts = [];
  for (let at = 0; at <= length; at += step) {
    const place = x(start + at);
    parts.push(drawn("line", { x1: place, x2: place, y1: 0, y2: end, class: "grid" }));
    const anchor = place > width - 40 ? "end" : at === 0 ? "start" : "middle";
    parts.push(drawn("text", { x: place, y: end + 16, "text-anchor": anchor, class: "tick" }, tick(at)));
  }
  return parts;
}

function tick(at) {
  if (at < 60) return `${Math.round(at * 10) / 10} s`;
  return at < 3600 ? `${Math.round(at / 6) / 10} min` : `${Math.round(at / 360) / 10} h`;
}

function tokenBars(turns, x, top, bottom) {
  if (!turns.length) return [];
  const most = Math.max(...turns.map((step) => step.usage.prompt_tokens + step.usage.completion_tokens), 1);
  const y = (tokens) => (tokens / most) * (bottom - top - 14);
  const parts = [
    drawn("text", { x: 0, y: bottom - 18, class: "lane" }, "Tokens"),
    drawn("text", { x: 0, y: bottom - 4, class: "tick" }, `≤ ${short(most)}`),
  ];
  for (const step of turns) {
    const { prompt_tokens: read, completion_tokens: written, cached_tokens: cached } = step.usage;
    const wide = Math.max(2, Math.min(14, x(step.to) - x(step.from)));
    const kinds = [
      ["cached", Math.min(read, cached ?? 0)],
      ["read", read - Math.min(read, cached ?? 0)],
      ["written", written],
    ];
    const told = `turn ${step.turn}: ${count(read)} tokens read, ${count(cached ?? 0)} of them cached, ${count(written)} written`;
    let from = bottom;
    for (const [kind, tokens] of kinds) {
      const high = y(tokens);
      from -= high;
      const box = { x: x(step.to) - wide, y: from, width: wide, height: high, class: `bar ${kind}` };
      if (high > 0) parts.push(drawn("rect", box, drawn("title", {}, told)));
    }
  }
  return parts;
}

function costsOf(journal) {
  let sum = 0;
  return journal.steps
    .filter((step) => step.tool?.to && step.tool.cost > 0)
    .map((step) => ({ at: step.tool.to, sum: (sum += step.tool.cost) }));
}

function costLine(costs, total, x, until, top, bottom) {
  const most = Math.max(total, costs.at(-1).sum);
  const y = (sum) => bottom - (sum / most) * (bottom - top - 4);
  let path = `M ${LEFT} ${bottom}`;
  for (const { at, sum } of costs) path += ` H ${x(at)} V ${y(sum)}`;
  return [
    drawn("text", { x: 0, y: bottom - 18, class: "lane" }, "Cost"),
    drawn("text", { x: 0, y: bottom - 4, class: "tick" }, money(most)),
    drawn("path", { d: `${path} H ${x(until)}`, class: "cost" }, drawn("title", {}, `Cost of tools: ${money(most)}`)),
  ];
}

function short(tokens) {
  return tokens < 1000 ? String(tokens) : `${Math.round(tokens / 100) / 10}k`;
}

function asTable(journal) {
  const heads = ["Turn", "Begins", "Model", "Read", "Cached", "Written", "Tool", "Tool time", "Cost"];
  const rows = journal.steps.map((step) => [
    step.turn,
    duration(step.from - journal.created.at),
    step.to === null ? "…" : duration(step.to - step.from),
    step.usage ? count(step.usage.prompt_tokens) : "",
    step.usage ? count(step.usage.cached_tokens ?? 0) : "",
    step.usage ? count(step.usage.completion_tokens) : "",
    step.tool && step.tool.called !== false ? step.tool.name.slice(0, 20) : "",
    step.tool?.to && step.tool.called !== false ? duration(step.tool.to - step.tool.from) : "",
    step.tool?.cost ? money(step.tool.cost) : "",
  ]);
  return element(
    "div",
    { class: "wide", tabindex: "0", role: "region", "aria-label": "Timeline as a table" },
    element(
      "table",
      {},
      element("thead", {}, element("tr", {}, ...heads.map((head) => element("th", { scope: "col" }, head)))),
      element("tbody", {}, ...rows.map((row) => element("tr", {}, ...row.map((cell) => element("td", {}, String(cell)))))),
    ),
  );
}
