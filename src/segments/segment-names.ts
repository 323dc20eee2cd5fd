import { hexadecimal } from '#base/numbers.ts'
import type { Garbage } from '#core/garbage.ts'
import { OWN_OBJECT, type Segment, TAIL_REVISION } from '#core/segments.ts'
import type { Partition } from '#core/state.ts'

// What objects of segments are called. A name says what it is of and has a hash of what is in it: a retry writes the same object
// again, and what is other bytes has another name, though it were the same range (of a log that lost its end with the power).
//
//   segments/<topic id>/<topic>/<partition>/<base offset>-<next offset>-g<generation>[-c<revision>]-<hash>.log
//   segments/shared/g<generation>/<log position>-<hash>.log
//   tail/g<generation>/<log position>-<hash>.log              shared, too, of records that were not sealed yet
//
// A topic has a folder of its own even where a file system takes `Orders` and `orders` for the same: its id comes first.

export const SEGMENT_PREFIX = 'segments/'
export const TAIL_PREFIX = 'tail/'

/** A segment, and where it is. */
export interface StoredSegment extends Segment {
  readonly key: string
  readonly topicId: string
  readonly partition: number
}

type OfSegment = Pick<Segment, 'baseOffset' | 'nextOffset' | 'generation' | 'revision' | 'sharedAt' | 'hash'>

/** What a name says; of a shared object not whose it is. */
export interface SegmentName extends OfSegment {
  readonly topicName: string
  readonly topicId: string
  readonly partition: number
}

export function storedSegment({ topic, index }: Partition, segment: Segment): StoredSegment {
  const of = { topicName: topic.name, topicId: topic.id, partition: index }
  return { ...segment, ...of, key: segmentKey({ ...segment, ...of }) }
}

export function keyOfGarbage({ topicName, topicId, partition }: Garbage, segment: Segment): string {
  return segmentKey({ ...segment, topicName, topicId, partition })
}

export function segmentKey(name: SegmentName): string {
  const { baseOffset, nextOffset, generation, revision, sharedAt, hash } = name
  if (sharedAt !== OWN_OBJECT) {
    const folder = revision === TAIL_REVISION ? TAIL_PREFIX : `${SEGMENT_PREFIX}shared/`
    return `${folder}g${generation}/${digits(sharedAt)}-${hexadecimal(hash)}.log`
  }
  const { topicName, topicId, partition } = name
  const range = `${digits(baseOffset)}-${digits(nextOffset)}-g${generation}${revision === 0 ? '' : `-c${revision}`}`
  return `${SEGMENT_PREFIX}${topicId}/${topicName}/${partition}/${range}-${hexadecimal(hash)}.log`
}

function digits(value: number): string {
  return String(value).padStart(20, '0')
}

const OWN = /^segments\/([^/]+)\/([^/]+)\/(\d+)\/(\d{20})-(\d{20})-g(\d+)(?:-c(\d+))?-([0-9a-f]{8})\.log$/
const SHARED = /^(segments\/shared|tail)\/g(\d+)\/(\d{20})-([0-9a-f]{8})\.log$/

/** Null: it is no name of a segment. */
export function parseSegmentKey(key: string): SegmentName | null {
  const name = parse(key)
  return name !== null && segmentKey(name) === key ? name : null
}

function parse(key: string): SegmentName | null {
  const shared = SHARED.exec(key)
  if (shared !== null) {
    const [, folder, generation, position, hash = ''] = shared
    const revision = folder === 'tail' ? TAIL_REVISION : 0
    const of = { topicName: '', topicId: '', partition: -1, baseOffset: -1, nextOffset: -1, revision }
    return { ...of, generation: Number(generation), sharedAt: Number(position), hash: Number.parseInt(hash, 16) }
  }
  const own = OWN.exec(key)
  if (own === null) return null
  const [, topicId, topicName, partition, baseOffset, nextOffset, generation, revision = '0', hash = ''] = own
  return {
    topicName: topicName!,
    topicId: topicId!,
    partition: Number(partition),
    baseOffset: Number(baseOffset),
    nextOffset: Number(nextOffset),
    generation: Number(generation),
    revision: Number(revision),
    sharedAt: OWN_OBJECT,
    hash: Number.parseInt(hash, 16),
  }
}
