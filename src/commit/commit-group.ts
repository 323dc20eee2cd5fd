import type { ByteWriter } from '#bytes/cursor.ts'
import type { ActiveFile } from './wal-files.ts'
import { GROUP_HEADER_BYTES } from './wal-format.ts'
import type { Chunk } from './wal-image.ts'

/** A flush group while it gathers, and until it is decided. */
export interface CommitGroup<A> {
  readonly position: number
  readonly file: ActiveFile
  /** It is the first of its file: the file's header is written with it. */
  readonly startsFile: boolean
  readonly chunk: Chunk
  /** Index of the group's header in the chunk. */
  readonly headerAt: number
  payloadBytes: number
  /** What `records` may grow to. */
  reservedBytes: number
  /** Staged in it: what the gather limit counts. */
  batches: number
  readonly records: ByteWriter
  readonly attachment: A
}

/** Does it take so much more, in its chunk and in its file? */
export function fits(group: CommitGroup<unknown>, moreBytes: number): boolean {
  const end = GROUP_HEADER_BYTES + group.payloadBytes + group.reservedBytes + moreBytes
  return (
    group.headerAt + end <= group.chunk.bytes.length &&
    group.position + end <= group.file.position + group.file.sizeBytes
  )
}

/** Below about 1 KiB a loop is faster than a view and a copy. */
const COPY_BY_LOOP_BYTES = 1024

export function copyBytes(from: Uint8Array, start: number, end: number, into: Uint8Array, at: number): void {
  if (end - start >= COPY_BY_LOOP_BYTES) {
    into.set(from.subarray(start, end), at)
    return
  }
  for (let i = start; i < end; i++) into[at++] = from[i]!
}
