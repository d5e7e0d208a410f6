/** What tabs that have the same copy open do together: tell each other, and take turns. */

import type { Name } from "./store.js";
import type { Status } from "./space.js";

/** What tabs tell each other. */
export interface Message {
  changed?: Name[];
  status?: Partial<Status>;
  /** The user has edited something. */
  edited?: true;
  /** A new tab wants to know how the copy is doing. */
  asked?: true;
}

export class Tabs {
  readonly #name: string;
  #channel: BroadcastChannel | undefined;
  readonly #turns = new Map<string, Promise<unknown>>();

  constructor(name: string, hear: (message: Message) => void) {
    this.#name = name;
    if (typeof BroadcastChannel === "undefined") return;
    this.#channel = new BroadcastChannel(name);
    this.#channel.onmessage = ({ data }) => hear(data as Message);
    // In Node an open channel keeps the process alive.
    (this.#channel as { unref?(): void }).unref?.();
  }

  tell(message: Message): void {
    this.#channel?.postMessage(message);
  }

  /**
   * Runs `body` while nobody else runs one under this key, in any tab. Where there are no Web Locks (Node, pages
   * without TLS) only this object takes turns with itself: other tabs are wasteful then, not wrong, since an answer
   * that comes too late is thrown away (PROTOCOL-CLIENT.md §3).
   */
  async alone<T>(key: string, body: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    const locks = globalThis.navigator?.locks;
    if (locks) return (await locks.request(`${this.#name}:${key}`, signal ? { signal } : {}, body)) as T;
    const turn = (this.#turns.get(key) ?? Promise.resolve()).then(() => {
      signal?.throwIfAborted();
      return body();
    });
    this.#turns.set(key, turn.catch(() => {}));
    return turn;
  }

  close(): void {
    this.#channel?.close();
    this.#channel = undefined;
  }
}
