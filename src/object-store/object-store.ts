// Where sealed segments and copies of the log's state are kept: a flat space of named, immutable-by-custom byte sequences. Verbs
// only; what an object means is known above. Implementations differ in nothing that test/contract/object-store.ts can see.
// Keys are as keys.ts says, errors as store-errors.ts says. A call whose signal is aborted fails with the reason of the signal.
// A write that failed in another way than STORE_REFUSED or STORE_DENIED may have happened, or may happen later.

export interface ObjectFacts {
  readonly key: string
  readonly sizeBytes: number
  /** By the clock of the store, which may show whole seconds only. */
  readonly modifiedMs: number
}

export interface ObjectStore {
  /** For people: `s3://bucket/prefix`, `file:///data/store`. */
  readonly place: string
  /** Writes all of the pieces as one object, or nothing; takes the place of what had the key. The pieces stay as they are until it ends. */
  put(key: string, pieces: readonly Uint8Array[], signal: AbortSignal): Promise<void>
  /**
   * The same only where there is nothing; false if there is something. Of several at once exactly one is told true. The bytes
   * should be the writer's own: who finds the same bytes after an answer was lost is told true.
   */
  putIfAbsent(key: string, pieces: readonly Uint8Array[], signal: AbortSignal): Promise<boolean>
  /** Bytes from `from` on, `length` of them, at least one; fewer only at the object's end, none behind it. */
  getRange(key: string, from: number, length: number, signal: AbortSignal): Promise<Buffer>
  /** Null if there is no such object. */
  head(key: string, signal: AbortSignal): Promise<ObjectFacts | null>
  /** Those whose keys begin with the prefix and come behind `after`, in the order of their keys. */
  list(prefix: string, after: string, signal: AbortSignal): AsyncIterable<ObjectFacts>
  /** Nothing if it is not there. */
  delete(key: string, signal: AbortSignal): Promise<void>
  /** Lets go of connections and files. */
  close(): Promise<void>
}
