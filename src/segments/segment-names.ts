import type { Garbage } from '#core/garbage.ts'
import { OWN_OBJECT, type Segment, TAIL_REVISION } from '#core/segments.ts'
import type { Partition } from '#core/state.ts'

// What objects of segments are called. A name says which range of which partition it is, so that a retry writes the same object again:
//
//   segments/<topic>/<topic id>/<partition>/<base offset>-<next offset>-g<generation>[-c<revision>].log
//   segments/shared/g<generation>/<log position>-<hash>.log
//   tail/g<generation>/<log position>-<hash>.log              shared, too, of records that were not sealed yet

export const SEGMENT_PREFIX = 'segments/'
export const TAIL_PREFIX = 'tail/'

/** A segment, and where it is. */
export interface StoredSegment extends Segment {
  readonly key: string
  readonly topicId: string
  readonly partition: number
}

type OfSegment = Pick<Segment, 'baseOffset' | 'nextOffset' | 'generation' | 'revision' | 'sharedAt' | 'sharedHash'>

/** What a name says; of a shared object not whose it is, of the others not the hash. */
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
  const { baseOffset, nextOffset, generation, revision, sharedAt, sharedHash } = name
  if (sharedAt !== OWN_OBJECT) {
    const folder = revision === TAIL_REVISION ? TAIL_PREFIX : `${SEGMENT_PREFIX}shared/`
    return `${folder}g${generation}/${digits(sharedAt)}-${sharedHash.toString(16).padStart(8, '0')}.log`
  }
  const { topicName, topicId, partition } = name
  const range = `${digits(baseOffset)}-${digits(nextOffset)}-g${generation}${revision === 0 ? '' : `-c${revision}`}`
  return `${SEGMENT_PREFIX}${topicName}/${topicId}/${partition}/${range}.log`
}

function digits(value: number): string {
  return String(value).padStart(20, '0')
}

const OWN = /^segments\/([^/]+)\/([^/]+)\/(\d+)\/(\d{20})-(\d{20})-g(\d+)(?:-c(\d+))?\.log$/
const SHARED = /^(segments\/shared|tail)\/g(\d+)\/(\d{20})-([0-9a-f]{8})\.log$/

/** Null: it is no name of a segment. */
export function parseSegmentKey(key: string): SegmentName | null {
  const name = parse(key)
  return name !== null && segmentKey(name) === key ? name : null
}

function parse(key: string): SegmentName | null {
  const shared = SHARED.exec(key)
  if (shared !== null) {
    const [, folder, generation, position, hash] = shared
    const revision = folder === 'tail' ? TAIL_REVISION : 0
    const of = { topicName: '', topicId: '', partition: -1, baseOffset: -1, nextOffset: -1, revision }
    const sharedHash = Number.parseInt(hash!, 16)
    return { ...of, generation: Number(generation), sharedAt: Number(position), sharedHash }
  }
  const own = OWN.exec(key)
  if (own === null) return null
  const [, topicName, topicId, partition, baseOffset, nextOffset, generation, revision = '0'] = own
  return {
    topicName: topicName!,
    topicId: topicId!,
    partition: Number(partition),
    baseOffset: Number(baseOffset),
    nextOffset: Number(nextOffset),
    generation: Number(generation),
    revision: Number(revision),
    sharedAt: OWN_OBJECT,
    sharedHash: 0,
  }
}
