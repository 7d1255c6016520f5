// What a turn's text holds, for people: its thought and what else was said. The platform's own reading decides what is
// done (`research.parsing`); this one only shows.

const OPEN = "<think>";
const CLOSE = "</think>";
const TAGS = /<(tool_call|answer|tool_response)>/;

/** { thought, said }: `said` is what stands outside thought, call and answer. A text may be half of one. */
export function readTurn(text, openedThought) {
  let rest = text.trimStart();
  const end = rest.indexOf(CLOSE);
  const start = rest.indexOf(OPEN);
  const inside = openedThought || start === 0 || (end >= 0 && (start < 0 || start > end));
  if (!inside) return { thought: "", said: beforeTags(rest) };
  if (start === 0) rest = rest.slice(OPEN.length);
  const close = rest.indexOf(CLOSE);
  if (close < 0) return { thought: rest.trim(), said: "" };
  return { thought: rest.slice(0, close).trim(), said: beforeTags(rest.slice(close + CLOSE.length)) };
}

function beforeTags(text) {
  const tag = text.search(TAGS);
  return (tag < 0 ? text : text.slice(0, tag)).trim();
}
