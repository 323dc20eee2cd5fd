// Consumers of a group, without sockets: they join a broker fixture, and their leader assigns what the test says.

import { assert } from '#base/assert.ts'
import { ByteWriter } from '#bytes/cursor.ts'
import type { BrokerFixture } from './broker-fixture.ts'

/** Of each topic the partitions. */
export type Assignment = Readonly<Record<string, readonly number[]>>

/** As a consumer writes it: version 1, topics, no data of its own. */
export function subscriptionBytes(topics: readonly string[]): Buffer {
  const writer = new ByteWriter()
  writer.i16(1)
  writer.i32(topics.length)
  for (const topic of topics) writeText(writer, topic)
  writer.i32(-1)
  writer.i32(0)
  return Buffer.from(writer.written())
}

export function assignmentBytes(assignment: Assignment): Buffer {
  const writer = new ByteWriter()
  writer.i16(1)
  writer.i32(Object.keys(assignment).length)
  for (const [topic, partitions] of Object.entries(assignment)) {
    writeText(writer, topic)
    writer.i32(partitions.length)
    for (const partition of partitions) writer.i32(partition)
  }
  writer.i32(-1)
  return Buffer.from(writer.written())
}

function writeText(writer: ByteWriter, text: string): void {
  writer.i16(Buffer.byteLength(text))
  writer.utf8(text)
}

/** The first member of a group; returns its id. */
export async function joinAlone(
  fixture: BrokerFixture,
  groupId: string,
  wants: { topics?: readonly string[]; protocolType?: string; assignment: Buffer | Assignment },
): Promise<string> {
  const { topics = [], protocolType = 'consumer', assignment } = wants
  const { groups } = fixture.broker
  const joined = await fixture.clock.run(
    Promise.resolve(
      groups.join(
        groupId,
        {
          ...{ memberId: '', instanceId: null, clientId: 'test', clientHost: '/127.0.0.1' },
          ...{ sessionTimeoutMs: 30_000, rebalanceTimeoutMs: 30_000, requiresKnownId: false, canSkipAssignment: false },
          protocolType,
          protocols: [{ name: 'range', metadata: subscriptionBytes(topics) }],
        },
        () => {},
      ),
    ),
  )
  assert(joined.error === 'NONE', `a member joins ${groupId}: ${joined.error}`)
  const { memberId, generation, protocol } = joined
  const bytes = Buffer.isBuffer(assignment) ? assignment : assignmentBytes(assignment as Assignment)
  const caller = { memberId, generation, protocol, protocolType, instanceId: null }
  const synced = groups.sync(groupId, { ...caller, assignments: new Map([[memberId, bytes]]) }, () => {})
  const { error } = await fixture.clock.run(Promise.resolve(synced))
  assert(error === 'NONE', `a member of ${groupId} is assigned something: ${error}`)
  return memberId
}

export async function leave(fixture: BrokerFixture, groupId: string, memberId: string): Promise<void> {
  const left = fixture.broker.groups.leave(groupId, [{ memberId, instanceId: null }])
  const [error] = await fixture.clock.run(Promise.resolve(left))
  assert(error === 'NONE', `a member leaves ${groupId}: ${error}`)
}

/** Offsets by topic and partition, of nobody in particular. */
export function commitOffsets(
  fixture: BrokerFixture,
  groupId: string,
  offsets: Record<string, Record<number, number>>,
) {
  return fixture.propose({
    kind: 'offsets-committed',
    groupId,
    topics: Object.entries(offsets).map(([topic, ofTopic]) => ({
      topicId: fixture.partition(topic).topic.id,
      partitions: Object.entries(ofTopic).map(([partition, offset]) => {
        return { partition: Number(partition), offset, leaderEpoch: -1, metadata: '', expiresMs: -1 }
      }),
    })),
  })
}

/** Of a group, as they are in the state. */
export function committedOffsets(fixture: BrokerFixture, groupId: string): Record<string, Record<number, number>> {
  const found: Record<string, Record<number, number>> = {}
  for (const [topicId, offsets] of fixture.state.groups.get(groupId)?.offsets ?? []) {
    const name = fixture.state.topicsById.get(topicId)?.name ?? topicId
    found[name] = Object.fromEntries([...offsets].map(([partition, { offset }]) => [partition, offset]))
  }
  return found
}
