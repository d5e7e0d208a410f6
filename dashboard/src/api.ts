/** The server's API as the page uses it. */

export interface Space {
  space: string;
  epoch: string;
  head: number;
  horizon: number;
  records: number;
  tombstones: number;
  retention: string;
  created_at: string;
  modified_at: string;
}

/** A space's rule for its tombstones. */
export interface Policy {
  retention: string;
  hold_for_clients: boolean;
  max_retention: string;
  max_tombstones?: number | null;
}

/** Which rule keeps the oldest tombstone, and who. */
export interface State {
  rule: "retention" | "hold_for_clients" | "max_retention" | "max_tombstones" | "forever" | "none";
  detail: string;
  head: number;
  horizon: number;
  tombstones: number;
  purgeable: number;
  oldest_tombstone: string | null;
  pinned_by: { client: string; rev: number; last_seen: string }[];
}

/** What a purge now would do with some window. */
export interface Forecast {
  window: string;
  tombstones: number;
  bytes: number;
  horizon: number;
  clients_behind: number;
  /** At most 100 of them. */
  clients: string[];
  resync_bytes: number;
  download_bytes: number;
}

export interface Client {
  client: string;
  cursor: string | null;
  rev: number;
  behind: number;
  last_seen: string;
  agent: string | null;
  collections?: string[];
}

export interface Sample {
  at: string;
  head: number;
  horizon: number;
  records: number;
  tombstones: number;
}

export interface Stats {
  head: number;
  horizon: number;
  records: number;
  tombstones: number;
  record_bytes: number;
  tombstone_bytes: number;
  /** How many are at least that old, ascending. */
  tombstone_ages: { older_than: string; tombstones: number }[];
  /** Oldest first. */
  history: Sample[];
  /** Pulls by clients without a name, by how far behind they were; both ends included. */
  anonymous: { behind_from: number; behind_to: number; pulls: number; last_seen: string }[];
}

export interface Compaction {
  purged: number;
  bytes: number;
  horizon_before: number;
  horizon: number;
  clients_behind: number;
}

/** A request that failed, in words for people. */
export class Failure extends Error {
  readonly status: number;

  constructor(status: number, words: string) {
    super(words);
    this.status = status;
  }
}

async function call<T>(method: string, path: string, body?: object): Promise<T> {
  let response: Response;
  try {
    const headers = { ...(body && { "Content-Type": "application/json" }), ...(method !== "GET" && csrf()) };
    response = await fetch(path, { method, cache: "no-store", headers, ...(body && { body: JSON.stringify(body) }) });
  } catch {
    throw new Failure(0, "The server cannot be reached.");
  }
  const text = await response.text().catch(() => "");
  // The login has ended: the page itself asks for a token then.
  if (response.status === 401) location.reload();
  if (!response.ok) throw new Failure(response.status, problem(text) ?? `The server answered ${response.status} ${response.statusText}.`);
  return (text === "" ? undefined : JSON.parse(text)) as T;
}

/** What says that a change comes from this page, where somebody is logged in. */
function csrf(): Record<string, string> {
  const token = document.querySelector<HTMLMetaElement>('meta[name="csrf"]')?.content;
  return token === undefined ? {} : { "Strandline-CSRF": token };
}

/** The sentence of a problem (RFC 9457): its title, and what is particular this time. */
function problem(text: string): string | undefined {
  try {
    const { title, detail } = JSON.parse(text) as { title?: unknown; detail?: unknown };
    const parts = [title, detail].filter((part): part is string => typeof part === "string" && part !== "");
    return parts.length === 0 ? undefined : parts.map(sentence).join(" ");
  } catch {
    return undefined;
  }
}

/** With a capital and a full stop. */
export const sentence = (text: string): string => `${text.charAt(0).toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? "" : "."}`;

const at = (space: string): string => `/v1/spaces/${encodeURIComponent(space)}`;

/** Pages of a list until it ends, or has `most` members. */
async function all<T>(path: string, member: string, most: number): Promise<{ list: T[]; more: boolean }> {
  const list: T[] = [];
  let after: string | null = null;
  do {
    const query: string = `limit=1000${after === null ? "" : `&after=${encodeURIComponent(after)}`}`;
    const page: { after: string | null } & Record<string, unknown> = await call("GET", `${path}?${query}`);
    list.push(...(page[member] as T[]));
    after = page.after;
  } while (after !== null && list.length < most);
  return { list, more: after !== null };
}

export const spaces = () => all<Space>("/v1/spaces", "spaces", 20_000);
export const space = (name: string) => call<Space>("GET", at(name));
export const stats = (name: string) => call<Stats>("GET", `${at(name)}/stats`);
export const policy = (name: string) => call<Policy>("GET", `${at(name)}/retention`);
export const state = (name: string) => call<State>("GET", `${at(name)}/retention/state`);
export const clients = (name: string) => all<Client>(`${at(name)}/clients`, "clients", 2_000);
export const plan = async (name: string, windows: string[]) =>
  (await call<{ plan: Forecast[] }>("GET", `${at(name)}/retention/plan?windows=${windows.join(",")}`)).plan;
export const configure = (name: string, change: Partial<Policy>) => call<Policy>("PUT", `${at(name)}/retention`, change);
export const compact = (name: string) => call<Compaction>("POST", `${at(name)}/compact`, {});
export const forget = (name: string, client: string) => call<undefined>("DELETE", `${at(name)}/clients/${encodeURIComponent(client)}`);
