// Requests to the public API, as any client makes them, with the key in a header.

import { currentKey } from "./key.js";

/** What the server refused, or why it could not be asked. `code` is the API's; "unreachable" where nothing answered. */
export class Problem extends Error {
  constructor(status, code, detail, errors = []) {
    super(detail);
    this.status = status;
    this.code = code;
    this.errors = errors;
  }
}

let behind = 0;
const locked = new EventTarget();

/** Unix seconds by the server's clock, to a second: the browser's may be wrong. */
export function serverNow() {
  return Date.now() / 1000 + behind;
}

/** Calls back when the server asks for a key, with the problem. */
export function onLocked(listener) {
  locked.addEventListener("locked", (event) => listener(event.detail));
}

/** An answer of the API that is good; Problem otherwise. */
export async function ask(path, { method = "GET", headers = {}, body, signal, locks = true } = {}) {
  const sent = { Accept: "application/json", ...headers };
  const key = currentKey();
  if (key) sent.Authorization = `Bearer ${key}`;
  if (body !== undefined) sent["Content-Type"] = "application/json";
  let answer;
  try {
    answer = await fetch(path, {
      method,
      headers: sent,
      body: body === undefined ? undefined : JSON.stringify(body),
      signal,
      cache: "no-store",
      credentials: "omit",
      redirect: "error",
      referrerPolicy: "no-referrer",
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Problem(0, "unreachable", "The server does not answer.");
  }
  const at = Date.parse(answer.headers.get("Date") ?? "");
  if (!Number.isNaN(at) && Math.abs(at - Date.now()) > 2000) behind = (at - Date.now()) / 1000;
  if (answer.ok) return answer;
  const problem = await asProblem(answer);
  if (answer.status === 401 && locks) locked.dispatchEvent(new CustomEvent("locked", { detail: problem }));
  throw problem;
}

export async function json(path, options) {
  return (await ask(path, options)).json();
}

async function asProblem(answer) {
  try {
    const told = await answer.json();
    return new Problem(answer.status, told.code ?? "error", told.detail ?? answer.statusText, told.errors ?? []);
  } catch {
    return new Problem(answer.status, "error", `The server answered ${answer.status}.`);
  }
}

const jobPath = (id) => `/v1/research/${encodeURIComponent(id)}`;

export const job = (id, signal) => json(jobPath(id), { signal });
export const stop = (id) => json(`${jobPath(id)}/cancel`, { method: "POST" });
export const remove = (id) => ask(jobPath(id), { method: "DELETE" });
export const events = (id, after, signal) =>
  ask(`${jobPath(id)}/events`, {
    signal,
    headers: { Accept: "text/event-stream", ...(after > 0 ? { "Last-Event-ID": String(after) } : {}) },
  });

export function jobs(filters, cursor, limit, signal) {
  const query = new URLSearchParams({ limit: String(limit), ...filters });
  if (cursor) query.set("cursor", cursor);
  return json(`/v1/research?${query}`, { signal });
}

/** Sent twice under one key, a question makes one job. */
export function create(wish, once) {
  return json("/v1/research", { method: "POST", body: wish, headers: { "Idempotency-Key": once } });
}

/** A name for one question; works without a secure context too. */
export function onceKey() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
