// The options of a job that the form shows, by their names in the API, and how what is typed becomes a value.

export const OPTIONS = [
  {
    name: "Limits",
    fields: [
      { path: "limits.max_turns", label: "Model turns", kind: "number", inputmode: "numeric", placeholder: "100" },
      { path: "limits.timeout_seconds", label: "Minutes", kind: "number", inputmode: "decimal", placeholder: "150", scale: 60 },
      { path: "limits.max_tool_calls", label: "Tool calls", kind: "number", inputmode: "numeric", placeholder: "no limit" },
      { path: "limits.max_tool_cost_usd", label: "USD for tools", kind: "number", inputmode: "decimal", placeholder: "no limit" },
    ],
  },
  {
    name: "Sources",
    fields: [
      { path: "tools.sources.allow_domains", label: "Only these sites", kind: "domains", placeholder: "python.org, .edu" },
      { path: "tools.sources.deny_domains", label: "Not these sites", kind: "domains", placeholder: "example.com" },
      { path: "tools.sources.published_after", label: "Published from", kind: "day" },
      { path: "tools.sources.published_before", label: "Published until", kind: "day" },
      { path: "tools.sources.languages", label: "Languages", kind: "words", placeholder: "en, de", hint: "Two letters each." },
      { path: "tools.sources.max_pages_per_domain", label: "Pages of one site", kind: "number", inputmode: "numeric", placeholder: "no limit" },
    ],
  },
  {
    name: "How it runs",
    fields: [
      {
        path: "tools.cache",
        label: "Cache of pages and searches",
        choices: [
          ["", "Use it"],
          ["bypass", "Fetch everything anew"],
          ["only", "Offline: only what is kept"],
          ["record", "Fetch anew and keep for offline use"],
        ],
      },
      {
        path: "at_context_limit",
        label: "When the context is full",
        choices: [
          ["", "As the server is set"],
          ["answer", "Answer with what was read"],
          ["compress", "Compress what was read and go on"],
        ],
      },
      { path: "priority", label: "Priority", kind: "number", inputmode: "numeric", placeholder: "0", hint: "Higher is earlier; -100 to 100." },
      { path: "sampling.temperature", label: "Temperature", kind: "number", inputmode: "decimal", placeholder: "0.6" },
      { path: "sampling.seed", label: "Seed", kind: "number", inputmode: "numeric", placeholder: "none" },
    ],
  },
];

/** A number, null for nothing; { field, message } is thrown for what is none. */
export function number(text, field) {
  const shown = text.trim().replace(",", ".");
  if (!shown) return null;
  const value = Number(shown);
  if (!Number.isFinite(value)) throw { field, message: "Write a number." };
  return value;
}

/** Names between commas or spaces. */
export function words(text) {
  return text.split(/[\s,;]+/).filter(Boolean);
}

/** Sites, also where somebody pastes an address. */
export function domains(text) {
  return words(text).map((one) => one.replace(/^https?:\/\//i, "").replace(/\/.*$/, ""));
}
