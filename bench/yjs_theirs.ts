/** The side of yjs: documents, and the updates that it makes of them. */

import * as Y from "yjs";
import type { Doc, Side } from "./yjs_work.ts";

class YjsDoc implements Doc {
  readonly #doc = new Y.Doc();
  readonly #map = this.#doc.getMap("state");
  readonly #path: string | undefined;
  readonly #updates: Uint8Array[] = [];
  /** Of this turn: in one transaction they cost yjs the least. */
  #writes: (() => void)[] = [];

  constructor(path?: string) {
    this.#path = path;
    if (path !== undefined && exists(path)) Y.applyUpdateV2(this.#doc, Deno.readFileSync(path));
    this.#doc.on("updateV2", (update: Uint8Array) => this.#updates.push(update));
  }

  set(key: string, value: unknown): void {
    this.#writes.push(() => this.#map.set(key, value));
  }

  delete(key: string): void {
    this.#writes.push(() => this.#map.delete(key));
  }

  append(key: string, item: unknown): void {
    this.#writes.push(() => this.#doc.getArray(key).push([item]));
  }

  commit(): Promise<Uint8Array[]> {
    const writes = this.#writes;
    this.#writes = [];
    this.#doc.transact(() => {
      for (const write of writes) write();
    });
    return Promise.resolve(this.#updates.splice(0));
  }

  take(told: readonly Uint8Array[]): void {
    for (const one of told) Y.applyUpdateV2(this.#doc, one);
    this.#updates.length = 0;
  }

  sync(other: YjsDoc): number {
    return this.#pull(other) + other.#pull(this);
  }

  size(): number {
    return this.#map.size;
  }

  async close(): Promise<void> {
    await this.commit();
    if (this.#path !== undefined) {
      Deno.writeFileSync(this.#path, Y.encodeStateAsUpdateV2(this.#doc));
    }
  }

  #pull(from: YjsDoc): number {
    const seen = Y.encodeStateVector(this.#doc);
    const update = Y.encodeStateAsUpdateV2(from.#doc, seen);
    this.take([update]);
    return seen.length + update.length;
  }
}

function exists(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}

/** See the top of the file. */
export const THEIRS: Side = {
  create: (_, path) => new YjsDoc(path),
};
