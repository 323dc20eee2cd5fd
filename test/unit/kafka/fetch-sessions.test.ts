import { describe, expect, it } from 'vitest'
import { FetchSessions, type SessionPartition } from '#kafka/fetch-sessions.ts'
import { BrokerFixture } from '#test/support/broker-fixture.ts'
import { Prng } from '#test/support/sim/prng.ts'
import { SimClock } from '#test/support/sim/sim-clock.ts'

const IDLE_MS = 120_000

function sessionsOf(limits: { limit: number; partitionLimit: number }) {
  const clock = new SimClock()
  const prng = new Prng(1)
  const random = { bytes: (count: number) => Buffer.from(Array.from({ length: count }, () => prng.between(0, 255))) }
  const sessions = new FetchSessions({ clock, random, ...limits })
  return { clock, sessions, create: (count: number) => sessions.create(true, partitions(0, count)) }
}

function partitions(from: number, to: number): Map<string, SessionPartition> {
  const added = new Map<string, SessionPartition>()
  for (let partition = from; partition < to; partition++) {
    const told = { highWatermark: -1, logStartOffset: -1 }
    const wanted = { fetchOffset: 0, maxBytes: 1, currentLeaderEpoch: -1, lastFetchedEpoch: -1 }
    added.set(`t:${partition}`, { topic: 't', topicId: '', partition, ...wanted, ...told })
  }
  return added
}

describe('fetch sessions', () => {
  it('remember no more partitions than the limit, all together', () => {
    const { sessions, create } = sessionsOf({ limit: 100, partitionLimit: 10 })
    expect(create(11)).toBeNull()
    const first = create(6)
    expect(first).not.toBeNull()
    expect(create(5)).toBeNull()
    expect(create(4)).not.toBeNull()
    expect(create(1)).toBeNull()
    sessions.remove(first!.id)
    expect(create(6)).not.toBeNull()
    expect(sessions.size).toBe(2)
  })

  it('take the place of those that nobody used for a while, as many as it takes', async () => {
    const { clock, sessions, create } = sessionsOf({ limit: 100, partitionLimit: 10 })
    const idle = [create(3)!, create(3)!]
    const used = create(3)!
    await clock.run(new Promise<void>(resolve => clock.after(IDLE_MS, resolve)))
    expect(sessions.advance(used)).toBe(true)
    expect(create(11)).toBeNull()
    expect(sessions.size).toBe(3)
    expect(create(7)).not.toBeNull()
    for (const { id } of idle) expect(sessions.get(id)).toBeUndefined()
    expect(create(1)).toBeNull()
  })

  it('end when they grow beyond the limit, and give back their room', () => {
    const { sessions, create } = sessionsOf({ limit: 100, partitionLimit: 10 })
    const session = create(4)!
    for (const [key, partition] of partitions(4, 10)) session.partitions.set(key, partition)
    expect(sessions.advance(session)).toBe(true)
    expect(create(1)).toBeNull()
    for (let i = 2; i < 10; i++) session.partitions.delete(`t:${i}`)
    expect(sessions.advance(session)).toBe(true)
    expect(create(8)).not.toBeNull()
    session.partitions.set('t:9', [...partitions(9, 10).values()][0]!)
    expect(sessions.advance(session)).toBe(false)
    expect(sessions.get(session.id)).toBeUndefined()
    expect(create(2)).not.toBeNull()
  })

  it('that are refused leave the consumer its fetches', async () => {
    const fixture = await BrokerFixture.start({ maxPartitions: 1 })
    await fixture.createTopic('orders')
    const fetch = (request: { sessionId: number; sessionEpoch: number }, from: number, to: number) => {
      const wanted = Array.from({ length: to - from }, (_, i) => ({ partition: from + i, fetchOffset: 0 }))
      const topics = [{ topic: 'orders', partitions: wanted.map(part => ({ ...part, partitionMaxBytes: 1000 })) }]
      return fixture.ask('Fetch', 12, { maxWaitMs: 0, minBytes: 0, ...request, topics, forgottenTopicsData: [] })
    }
    const full = await fetch({ sessionId: 0, sessionEpoch: 0 }, 0, 11)
    expect(full).toMatchObject({ errorCode: 0, sessionId: 0 })
    expect(full.responses[0]?.partitions).toHaveLength(11)
    const { sessionId } = await fetch({ sessionId: 0, sessionEpoch: 0 }, 0, 10)
    expect(sessionId).toBeGreaterThan(0)
    const SESSION_NOT_FOUND = 70
    expect((await fetch({ sessionId, sessionEpoch: 1 }, 10, 11)).errorCode).toBe(SESSION_NOT_FOUND)
    expect((await fetch({ sessionId: 0, sessionEpoch: 0 }, 0, 10)).sessionId).toBeGreaterThan(0)
  })
})
