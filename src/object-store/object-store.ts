// Where sealed segments and copies of the log's state are kept: a flat space of named, immutable-by-custom byte sequences. Verbs
// only; what an object means is known above. Implementations differ in nothing that test/contract/object-store.ts can see.
//
// Keys are `/`-separated, printable ASCII, at most MAX_KEY_BYTES; none is the directory of another. Errors are ChronikErrors:
//
//   OBJECT_MISSING     invalid      there is no such object
//   BUCKET_MISSING     invalid      there is no such bucket, container or directory
//   STORE_DENIED       invalid      wrong credentials, or no right to do this
//   STORE_REFUSED      invalid      the store will never accept this request
//   STORE_UNAVAILABLE  unavailable  it did not answer, or said that it cannot now: worth another try
//   STORE_FULL         retry        no space is left

export const MAX_KEY_BYTES = 900

export interface ObjectFacts {
  readonly key: string
  readonly sizeBytes: number
  /** By the clock of the store. */
  readonly modifiedMs: number
}

export interface ObjectStore {
  /** For people: `s3://bucket/prefix`, `file:///data/store`. */
  readonly place: string
  /** Writes all of the pieces as one object, or nothing; takes the place of what had the key. */
  put(key: string, pieces: readonly Uint8Array[], signal: AbortSignal): Promise<void>
  /** The same only where there is nothing; false if there is something. Of several at once exactly one is told true. */
  putIfAbsent(key: string, pieces: readonly Uint8Array[], signal: AbortSignal): Promise<boolean>
  /** Bytes from `from` on, `length` of them; fewer only at the object's end, none behind it. */
  getRange(key: string, from: number, length: number, signal: AbortSignal): Promise<Buffer>
  /** Null if there is no such object. */
  head(key: string, signal: AbortSignal): Promise<ObjectFacts | null>
  /** Those whose keys begin with the prefix and come behind `after`, in the order of their keys. */
  list(prefix: string, after: string, signal: AbortSignal): AsyncIterable<ObjectFacts>
  /** Nothing if it is not there. */
  delete(key: string, signal: AbortSignal): Promise<void>
  /** Lets go of connections. */
  close(): Promise<void>
}
