// What no client does to its group, to one broker after the other case.

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { errorName } from '#kafka/protocol/protocol.ts'
import { type BrokerProcess, startBrokerProcess } from '#test/support/broker-process.ts'
import { until } from '#test/support/until.ts'
import { requestFrame, WireClient } from '#test/support/wire-client.ts'
import { type RequestBody, wireMessages } from '#test/support/wire-messages.ts'
import { ENVIRONMENT, mustAnswer, RSS_LIMIT_BYTES, rssBytes } from './fuzz.ts'

const MAX_GROUPS = 500
const MAX_MEMBERS = 200
const STORM = 20_000
const STORM_WITHIN_MS = 20_000
const MIB = 1024 * 1024

let broker: BrokerProcess

beforeAll(async () => {
  broker = await startBrokerProcess({ environment: ENVIRONMENT })
})

afterAll(async () => {
  expect(broker.output()).not.toMatch(/"level":"(error|fatal)"|a request failed/)
  await broker.stop()
})

const joining = (groupId: string, more: Partial<RequestBody<'JoinGroup'>> = {}) => ({
  groupId,
  sessionTimeoutMs: 10_000,
  rebalanceTimeoutMs: 1_000,
  memberId: '',
  protocolType: 'consumer',
  protocols: [{ name: 'range', metadata: Buffer.alloc(10) }],
  ...more,
})

/** One request many times over one connection: how many were answered with which error, and how long it took. */
async function flood(version: number, body: (i: number) => RequestBody<'JoinGroup'>, count: number) {
  const client = await WireClient.connect(broker.kafka)
  const { request } = wireMessages.JoinGroup
  const beganAtMs = performance.now()
  client.sendRaw(Buffer.concat(Array.from({ length: count }, (_, i) => requestFrame(request, version, i, body(i)))))
  const errors = new Map<string, number>()
  for (let i = 0; i < count; i++) {
    const answer = await client.receive()
    // Behind the correlation id, an empty tag buffer and the throttle time.
    const error = errorName(answer.readInt16BE(version >= 6 ? 9 : 8))
    errors.set(error, (errors.get(error) ?? 0) + 1)
  }
  client.close()
  return { errors: Object.fromEntries(errors), tookMs: performance.now() - beganAtMs }
}

async function mustBeWell(): Promise<void> {
  await mustAnswer(broker)
  expect(await rssBytes(broker)).toBeLessThan(RSS_LIMIT_BYTES)
}

describe('members that vanish while they join', () => {
  it('are given up, and the others go on', async () => {
    const groupId = 'storm'
    const clients = await Promise.all(Array.from({ length: 100 }, () => WireClient.connect(broker.kafka)))
    const last = clients.pop()!
    const answers = clients.map(client => client.send('JoinGroup', 3, joining(groupId)).catch(() => null))
    await until('a rebalance', async () => {
      const { groups } = await last.send('DescribeGroups', 0, { groups: [groupId] })
      return groups[0]!.groupState !== 'Empty'
    })
    for (const client of clients) client.close()
    await Promise.all(answers)
    const joined = await last.send('JoinGroup', 3, joining(groupId))
    expect(errorName(joined.errorCode)).toBe('NONE')
    const self = { groupId, memberId: joined.memberId, generationId: joined.generationId }
    await until('it is alone', async () => {
      await last.send('Heartbeat', 3, self)
      const { groups } = await last.send('DescribeGroups', 0, { groups: [groupId] })
      return groups[0]!.members.length <= 1
    })
    last.close()
    await mustBeWell()
  })
})

describe('a giant', () => {
  it('of a subscription is refused or bounded', async () => {
    const metadata = Buffer.alloc(15 * MIB)
    const clients = await Promise.all(Array.from({ length: 40 }, () => WireClient.connect(broker.kafka)))
    for (const client of clients) {
      const { errorCode } = await client.send(
        'JoinGroup',
        3,
        joining('giant', { protocols: [{ name: 'range', metadata }], rebalanceTimeoutMs: 100 }),
      )
      expect(errorName(errorCode)).toBe('GROUP_MAX_SIZE_REACHED')
      client.close()
    }
    await mustBeWell()
  })

  it('of an assignment is refused, and the group goes on', async () => {
    const client = await WireClient.connect(broker.kafka)
    const groupId = 'giant'
    const joined = await client.send('JoinGroup', 3, joining(groupId))
    const self = { groupId, memberId: joined.memberId, generationId: joined.generationId }
    const assignments = [{ memberId: joined.memberId, assignment: Buffer.alloc(15 * MIB) }]
    const synced = await client.send('SyncGroup', 3, { ...self, assignments })
    expect(errorName(synced.errorCode)).toBe('UNKNOWN_SERVER_ERROR')
    const again = await client.send('JoinGroup', 3, joining(groupId, { memberId: joined.memberId }))
    expect(errorName(again.errorCode)).toBe('NONE')
    const small = [{ memberId: joined.memberId, assignment: Buffer.from('all') }]
    const next = { ...self, generationId: again.generationId }
    expect(errorName((await client.send('SyncGroup', 3, { ...next, assignments: small })).errorCode)).toBe('NONE')
    client.close()
    await mustBeWell()
  })

  it('of a commit, of many partitions of one topic, is answered', async () => {
    const client = await WireClient.connect(broker.kafka)
    await client.send('Metadata', 9, { topics: [{ name: 'target' }] })
    const partitions = Array.from({ length: 50_000 }, (_, i) => ({
      partitionIndex: i,
      committedOffset: 1,
      committedMetadata: 'x'.repeat(100),
    }))
    const nobody = { groupId: 'storm-of-commits', generationIdOrMemberEpoch: -1, memberId: '' }
    const { topics } = await client.send('OffsetCommit', 7, { ...nobody, topics: [{ name: 'target', partitions }] })
    expect(topics[0]!.partitions).toHaveLength(partitions.length)
    client.close()
    await mustBeWell()
  })
})

describe('members by the new protocol', () => {
  const beating = (groupId: string, i: number, more: Partial<RequestBody<'ConsumerGroupHeartbeat'>> = {}) => ({
    groupId,
    memberId: `00000000-0000-4000-8000-${String(i).padStart(12, '0')}`,
    memberEpoch: 0,
    rebalanceTimeoutMs: 1_000,
    subscribedTopicNames: ['target'],
    topicPartitions: [],
    ...more,
  })

  it('are let in up to as many as there may be, however many ask', async () => {
    const client = await WireClient.connect(broker.kafka)
    const beganAtMs = performance.now()
    const count = 5_000
    const bodies = Array.from({ length: count }, (_, i) => beating('modern', i))
    const answers = await Promise.all(bodies.map(body => client.send('ConsumerGroupHeartbeat', 1, body)))
    const errors = answers.map(({ errorCode }) => errorName(errorCode))
    expect(errors.filter(error => error === 'NONE')).toHaveLength(MAX_MEMBERS)
    expect(errors.filter(error => error === 'GROUP_MAX_SIZE_REACHED')).toHaveLength(count - MAX_MEMBERS)
    expect(performance.now() - beganAtMs).toBeLessThan(STORM_WITHIN_MS)
    client.close()
    await mustBeWell()
  })

  it('subscribe to no giants, and to no patterns that take for ever', async () => {
    const client = await WireClient.connect(broker.kafka)
    const names = Array.from({ length: 20_000 }, (_, i) => `${'x'.repeat(200)}-${i}`)
    const patterns = [
      '(a*)*b',
      '(x+x+)+y',
      `(${'a?'.repeat(1_000)})${'a'.repeat(1_000)}`,
      '('.repeat(10_000),
      'x'.repeat(32_000),
    ]
    for (let i = 0; i < 100; i++) {
      const more = { subscribedTopicNames: names, subscribedTopicRegex: patterns[i % patterns.length]! }
      await client.send(
        'ConsumerGroupHeartbeat',
        1,
        beating('giants', i, i % 2 === 0 ? more : { ...more, subscribedTopicNames: null }),
      )
    }
    client.close()
    await mustBeWell()
  })
})

describe('a flood of members without ids', () => {
  it('is given ids, as many as there may be members, and holds up nobody for long', async () => {
    const { errors, tookMs } = await flood(9, () => joining('storm'), STORM)
    expect(errors).toEqual({ MEMBER_ID_REQUIRED: MAX_MEMBERS, GROUP_MAX_SIZE_REACHED: STORM - MAX_MEMBERS })
    expect(tookMs).toBeLessThan(STORM_WITHIN_MS)
    await mustBeWell()
  })

  it('in one group each is turned away when there are enough groups', async () => {
    const { errors, tookMs } = await flood(9, i => joining(`one-of-many-${i}`), STORM)
    expect(errors.MEMBER_ID_REQUIRED).toBeGreaterThan(MAX_GROUPS - 10)
    expect(errors.POLICY_VIOLATION).toBeGreaterThan(STORM - MAX_GROUPS)
    expect(tookMs).toBeLessThan(STORM_WITHIN_MS)
    await mustBeWell()
  })
})
