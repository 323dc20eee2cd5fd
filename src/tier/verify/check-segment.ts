import { ChronikError, messageOf } from '#base/errors.ts'
import type { Finding, RecordRange } from '#base/inspection.ts'
import { crc32c } from '#bytes/crc32c.kernel.ts'
import type { ObjectReader } from '#object-store/object-store.ts'
import {
  BLOCK_BYTES,
  checkFence,
  damagedSegment,
  readDirectory,
  readTrailer,
  type SegmentDirectory,
  type SegmentPart,
  TRAILER_BYTES,
} from '#segments/segment-format.ts'
import { readPartIndex } from '#segments/segment-index.ts'
import type { StoredSegment } from '#segments/segment-names.ts'
import { isLoss } from '#tier/recovery/tail-objects.ts'
import type { BodyCheck } from './body-check.ts'
import { ObjectStream } from './object-stream.ts'

// Checks one segment object, every byte of it, and that it has what the rows of the partitions say.

/** A row that says that a part is in the object. */
export interface HeldSegment {
  readonly topicName: string
  readonly segment: StoredSegment
}

export interface SegmentToCheck {
  readonly key: string
  readonly sizeBytes: number
  /** Of the name. */
  readonly hash: number
  readonly held: readonly HeldSegment[]
  /** Compaction has been through it: offsets may be missing. */
  readonly isCompacted: boolean
}

export interface SegmentTools {
  readonly store: ObjectReader
  readonly signal: AbortSignal
  readonly body: BodyCheck
  passed(sizeBytes: number): void
}

/** A read that is likely to have all that is behind the bodies. */
const LIKELY_BYTES = 64 << 10

/** Throws OBJECT_MISSING if it is gone, and what the store throws when it does not answer. */
export async function checkSegment(tools: SegmentTools, object: SegmentToCheck): Promise<Finding[]> {
  const { key, held } = object
  const findings: Finding[] = []
  const damaged = (thrown: unknown, of: readonly HeldSegment[]): void => {
    if (!(thrown instanceof ChronikError) || thrown.code === 'OBJECT_MISSING' || !isDamage(thrown)) throw thrown
    findings.push({ kind: 'damage', where: key, message: messageOf(thrown), affected: of.map(rangeOf) })
  }
  let end: ObjectEnd
  try {
    end = await readEnd(tools, object)
  } catch (thrown) {
    damaged(thrown, held)
    return findings
  }
  const { directory } = end
  for (const one of held) {
    const what = differenceOf(directory, one)
    if (what !== null) damaged(damagedSegment(key, directory.fencePlace, what), [one])
  }
  const stream = new ObjectStream(tools.store, key, directory.fencePlace, tools.signal)
  for (const part of directory.parts) {
    const of = held.filter(({ segment }) => isOf(part, segment))
    try {
      await checkPart(tools, stream, { object, end, part })
    } catch (thrown) {
      damaged(thrown, of)
    }
  }
  try {
    checkFence(end.bytes, 0, key, directory)
    // The hash is over what was looked at already: it says more only if all of that was right.
    if (findings.length === 0) checkHash(end, object)
  } catch (thrown) {
    damaged(thrown, held)
  }
  return findings
}

function isDamage(thrown: ChronikError): boolean {
  return isLoss(thrown) || thrown.code === 'SEGMENT_TOO_NEW'
}

/** What is behind the bodies. */
interface ObjectEnd {
  readonly directory: SegmentDirectory
  readonly bytes: Buffer
}

async function readEnd({ store, signal, passed }: SegmentTools, object: SegmentToCheck): Promise<ObjectEnd> {
  const { key, sizeBytes } = object
  const likelyBytes = Math.min(sizeBytes, LIKELY_BYTES)
  // Of an object that is too short, too, it is said what is wrong.
  if (likelyBytes < TRAILER_BYTES) readTrailer(Buffer.alloc(0), object)
  const read = async (fromEnd: number): Promise<Buffer> => {
    const bytes = await store.getRange(key, sizeBytes - fromEnd, fromEnd, signal)
    if (bytes.length === fromEnd) return bytes
    throw damagedSegment(key, sizeBytes - fromEnd + bytes.length, 'the object ends there')
  }
  let bytes = await read(likelyBytes)
  const { directoryBytes } = readTrailer(bytes, object)
  if (directoryBytes > bytes.length) bytes = await read(directoryBytes)
  const directory = readDirectory(bytes, object)
  const endBytes = sizeBytes - directory.fencePlace
  if (endBytes > bytes.length) bytes = await read(endBytes)
  passed(endBytes)
  return { directory, bytes: bytes.subarray(bytes.length - endBytes) }
}

function checkHash({ bytes, directory }: ObjectEnd, { key, hash }: SegmentToCheck): void {
  if (crc32c(bytes, 0, bytes.length - TRAILER_BYTES) === hash) return
  throw damagedSegment(key, directory.fencePlace, 'its name has the hash of another object')
}

/** Takes the body of the part off the stream, whatever is found. */
async function checkPart(
  { body, passed, signal }: SegmentTools,
  stream: ObjectStream,
  { object, end, part }: { object: SegmentToCheck; end: ObjectEnd; part: SegmentPart },
): Promise<void> {
  const { key } = object
  const indexAt = part.indexPlace - end.directory.fencePlace
  const indexBytes = end.bytes.subarray(indexAt, indexAt + part.indexBytes)
  let fault: { thrown: unknown } | null = null
  const unlessFaulty = (check: () => void): void => {
    if (fault !== null) return
    try {
      check()
    } catch (thrown) {
      fault = { thrown }
    }
  }
  unlessFaulty(() => {
    const index = readPartIndex(indexBytes, key, part)
    body.begin({ key, part, index, indexBytes, isDense: !object.isCompacted })
  })
  for (let place = 0; place < part.sizeBytes; place += BLOCK_BYTES) {
    const bytes = await stream.take(Math.min(BLOCK_BYTES, part.sizeBytes - place))
    signal.throwIfAborted()
    unlessFaulty(() => body.add(bytes))
    passed(bytes.length)
  }
  unlessFaulty(() => body.end())
  if (fault !== null) throw (fault as { thrown: unknown }).thrown
}

function isOf(part: SegmentPart, segment: StoredSegment): boolean {
  return part.topicId === segment.topicId && part.partition === segment.partition && part.place === segment.place
}

const SAME = [
  'baseOffset',
  'nextOffset',
  'sizeBytes',
  'indexPlace',
  'indexBytes',
  'maxTimestampMs',
  'createdMs',
] as const

/** In what the object is not what a row says; null if it is. */
function differenceOf({ parts }: SegmentDirectory, { topicName, segment }: HeldSegment): string | null {
  const part = parts.find(candidate => isOf(candidate, segment))
  const name = `${topicName}-${segment.partition}`
  if (part === undefined) return `it has no part of ${name} at byte ${segment.place}, as the log says`
  const field = SAME.find(candidate => part[candidate] !== segment[candidate])
  if (field === undefined) return null
  return `it says that the ${field} of ${name} is ${part[field]}, and the log says ${segment[field]}`
}

export function rangeOf({ topicName, segment }: HeldSegment): RecordRange {
  const { partition, baseOffset, nextOffset } = segment
  return { topic: topicName, partition, fromOffset: baseOffset, toOffset: nextOffset }
}
