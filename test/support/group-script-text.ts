import { readAssigned, writeAssigned } from '#kafka/coordinator/consumer-protocol.ts'

// Partitions as scripts write them, `t:0,1;u:2`, and as members of the classic protocol carry them.

type Named = ReadonlyMap<string, readonly number[]>

export function partitionsIn(text: string): Map<string, number[]> {
  const named = new Map<string, number[]>()
  for (const part of text.split(';').filter(one => one !== '')) {
    const [topic = '', indexes = ''] = part.split(':')
    named.set(topic, indexes.split(',').map(Number))
  }
  return named
}

export function shown(partitions: Named): string {
  const parts = [...partitions]
    .filter(([, indexes]) => indexes.length > 0)
    .map(([topic, indexes]) => `${topic}:${[...indexes].sort((a, b) => a - b).join(',')}`)
  return parts.sort().join(';') || 'nothing'
}

export function assignmentOf(partitions: Named): Buffer {
  return writeAssigned(3, partitions)
}

export function namedFrom(assignment: Buffer): Map<string, number[]> {
  const read = readAssigned(assignment)
  return new Map([...(read?.partitions ?? [])].map(([topic, indexes]) => [topic, [...indexes]]))
}

/** Version 3 of what a classic member says of itself (Kafka: ConsumerProtocolSubscription). */
export function subscriptionOf(topics: readonly string[], owned: Named): Buffer {
  const text = (value: string): Buffer => Buffer.concat([int16(Buffer.byteLength(value)), Buffer.from(value)])
  return Buffer.concat([
    int16(3),
    int32(topics.length),
    ...topics.map(text),
    int32(-1),
    int32(owned.size),
    ...[...owned].flatMap(([topic, indexes]) => [text(topic), int32(indexes.length), ...indexes.map(int32)]),
    int32(-1),
    int16(-1),
  ])
}

function int16(value: number): Buffer {
  const bytes = Buffer.alloc(2)
  bytes.writeInt16BE(value)
  return bytes
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value)
  return bytes
}
