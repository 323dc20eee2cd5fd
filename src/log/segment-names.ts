import { OWN_OBJECT, type Segment } from '#core/segments.ts'
import type { Partition, Topic } from '#core/state.ts'

/** A segment, and where it is. */
export interface StoredSegment extends Segment {
  readonly key: string
  readonly topicId: string
  readonly partition: number
}

export function storedSegment({ topic, index }: Partition, segment: Segment): StoredSegment {
  return { ...segment, key: segmentKey(topic, index, segment), topicId: topic.id, partition: index }
}

const DIGITS = 20
const number = (value: number): string => String(value).padStart(DIGITS, '0')

export function segmentKey({ name, id }: Pick<Topic, 'name' | 'id'>, partition: number, segment: Segment): string {
  const { baseOffset, nextOffset, generation, revision, sharedAt, sharedHash } = segment
  if (sharedAt !== OWN_OBJECT) {
    return `segments/shared/g${generation}/${number(sharedAt)}-${sharedHash.toString(16).padStart(8, '0')}.log`
  }
  const revised = revision === 0 ? '' : `-c${revision}`
  return `segments/${name}/${id}/${partition}/${number(baseOffset)}-${number(nextOffset)}-g${generation}${revised}.log`
}
