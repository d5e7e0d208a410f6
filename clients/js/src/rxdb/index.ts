/**
 * RxDB with Strandline as its server: `replicateStrandline` on RxDB's own replication.
 *
 * RxDB keeps the documents, finds the edits and resolves conflicts; what it does not know of this server is added here:
 * revisions, pushes that happen once, a server that forgot its checkpoint, and a feed that all collections share.
 */

import type { ReplicationOptions, RxCollection, WithDeleted } from "rxdb";
import { replicateRxCollection, type RxReplicationState } from "rxdb/plugins/replication";
import { filter, map, tap } from "rxjs";
import type { ClientOptions } from "../transport.js";
import { Puller } from "./pull.js";
import { Pusher } from "./push.js";
import { Records } from "./records.js";
import { Replica, type Setup } from "./replica.js";
import { feed } from "./stream.js";

/** What RxDB keeps of where a replica is. */
export interface Checkpoint {
  /** The cursor of the last pull whose documents are stored (PROTOCOL.md §1). */
  cursor: string;
}

/** An edit that the server did not take. */
export interface Conflict<T> {
  /**
   * `conflict`: the record was changed or deleted elsewhere since. `rejected`: the server never takes such a record, and
   * `problem` says why.
   */
  reason: "conflict" | "rejected";
  id: string;
  /** The document as it is here, with the edit; `_deleted` if the edit was a deletion. */
  document: WithDeleted<T>;
  /** What takes its place unless the collection's conflict handler decides otherwise; `_deleted` if it is gone. */
  server: WithDeleted<T>;
  problem?: { code: string; detail: string };
}

/** Where a collection is replicated to, and how. */
export interface StrandlineOptions<T> extends ClientOptions {
  /**
   * The collection's name on the server, by default its name here: lower case letters, digits, `_` and `-`, 63 at the
   * most.
   */
  collection?: string;
  /**
   * Is called with each edit that the server did not take, before RxDB replaces it: if this gives a promise, once it is
   * fulfilled. If it fails, the edit stays and is pushed again. It may be called twice for one edit.
   */
  onConflict?: (conflict: Conflict<T>) => void | Promise<void>;
  /** Whether to go on after the first sync (default), or to end. */
  live?: boolean;
  /** Documents a batch of a pull, 1,000 unless given. */
  pullBatchSize?: number;
  /** Documents a push, 500 unless given. */
  pushBatchSize?: number;
  /** Milliseconds until RxDB tries again what failed and does not pass by itself: 5,000 unless given. */
  retryTime?: number;
  /** See RxDB. */
  autoStart?: boolean;
  /** See RxDB. */
  waitForLeadership?: boolean;
  /** See RxDB. */
  toggleOnDocumentVisible?: boolean;
}

/**
 * Replicates a collection with a space, both ways, until it is cancelled. What it returns is RxDB's own: `error$`,
 * `active$`, `awaitInSync()`, `reSync()`, `pause()`, `cancel()`.
 *
 * Troubles that pass (no network, 429, 5xx) are waited out, with longer and longer pauses, and `Retry-After` at the
 * least. A token that is not accepted (401, 403) is emitted on `error$` and cancels the replication. Where the space is
 * full (403 `quota_exceeded`), that is emitted, deletions go through, and the other edits are tried again every `retryTime`;
 * RxDB takes in no news meanwhile.
 *
 * `name` begins the names under which the server lists this client; each collection's is completed at random and kept.
 */
export function replicateStrandline<T>(
  collection: RxCollection<T>,
  options: StrandlineOptions<T>,
): RxReplicationState<T, Checkpoint> {
  const { onConflict, pullBatchSize = 1000, pushBatchSize = 500, collection: name = collection.name, ...rest } = options;
  const { url, space, token, name: prefix, fetch, ...settings } = rest;
  const client: ClientOptions = {
    url,
    space,
    ...(token !== undefined && { token }),
    ...(prefix !== undefined && { name: prefix }),
    ...(fetch && { fetch }),
  };
  if (!/^[a-z0-9][a-z0-9_-]{0,62}$/.test(name)) {
    throw new TypeError(`the server takes no collection named ${name}: give another one as \`collection\``);
  }
  if (prefix !== undefined && !/^[!-~]{1,100}$/.test(prefix)) throw new TypeError("a name is 1 to 100 visible ASCII characters");
  if (collection.schema.jsonSchema.attachments) throw new TypeError("attachments are not replicated");

  const listening = feed(client, name);
  const setup: Setup<T> = {
    client,
    collection: name,
    records: new Records(collection.schema.primaryPath as string),
    onConflict: onConflict ?? (() => {}),
    onPushed: listening.wake,
  };
  const replica: Replica<T> = new Replica(setup, () => replication);
  const puller = new Puller(replica);
  const pusher = new Pusher(replica);
  const { patience } = replica;

  const replication: RxReplicationState<T, Checkpoint> = replicateRxCollection<T, Checkpoint>({
    ...settings,
    collection,
    // Without the address: a server that moves must not be told that everything here is new.
    replicationIdentifier: `strandline ${space} ${name}`,
    pull: {
      batchSize: pullBatchSize,
      handler: (checkpoint, size) =>
        patience.guard("pull", { documents: [], checkpoint }, () => puller.pull(checkpoint, size)),
      stream$: listening.changes.pipe(
        tap(() => patience.wake()),
        // A pull that was asked for and has not begun will see what there is by then.
        filter(() => !replica.announced),
        map(() => {
          replica.announced = true;
          return "RESYNC" as const;
        }),
      ),
    },
    push: {
      batchSize: pushBatchSize,
      handler: (rows) => patience.guard("push", [], () => pusher.push(rows)),
    },
  } as ReplicationOptions<T, Checkpoint>);
  const online = () => {
    patience.wake();
    listening.wake();
  };
  globalThis.addEventListener?.("online", online);
  replication.onCancel.push(() => {
    globalThis.removeEventListener?.("online", online);
    patience.end();
  });
  return replication;
}
