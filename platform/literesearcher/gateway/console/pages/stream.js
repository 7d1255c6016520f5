// A job's events as they come, over fetch, so that the key goes in a header; re-joined after the last event that came.

import { events, Problem } from "./api.js";

const LONGEST_PAUSE = 15_000;

/** Frames of a stream of server-sent events: { data } or { remark }. The work is linear, however a frame is cut. */
export async function* frames(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let begun = [];
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      const lines = value.split("\n");
      for (let index = 0; index < lines.length; index += 1) {
        begun.push(lines[index]);
        if (index === lines.length - 1) break;
        const whole = begun.join("");
        begun = [];
        // The gateway writes each frame's data on one line; id and event stand in the data too.
        if (whole.startsWith("data: ")) yield { data: JSON.parse(whole.slice(6)) };
        else if (whole.startsWith(": ")) yield { remark: whole.slice(2) };
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

function pause(milliseconds, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    const now = () => {
      clearTimeout(timer);
      resolve();
    };
    signal.addEventListener("abort", now, { once: true });
    window.addEventListener("online", now, { once: true });
  });
}

/**
 * Follow a job to its end. `heard(event)` for each event and live text, `linked(state)` with "open", "lost" or "closed".
 * Ends by returning; Problem where trying again is of no use.
 */
export async function follow(id, { signal, heard, linked }) {
  let after = 0;
  let tries = 0;
  while (!signal.aborted) {
    try {
      const answer = await events(id, after, signal);
      linked("open");
      for await (const frame of frames(answer.body)) {
        if (signal.aborted) return;
        tries = 0;
        if (frame.data === undefined) continue;
        heard(frame.data);
        if (frame.data.seq !== undefined) after = frame.data.seq;
        if (frame.data.type === "job.ended") {
          linked("closed");
          return;
        }
      }
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof Problem && error.status >= 400 && error.status < 500 && error.status !== 429) throw error;
    }
    tries += 1;
    linked("lost");
    await pause(Math.min(LONGEST_PAUSE, 500 * 2 ** tries), signal);
  }
}
