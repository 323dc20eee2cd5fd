import { describe, expect, it } from 'vitest'
import { offsetForTimestamp, offsetOfMaxTimestamp, type TimedOffset } from '#log/find-by-timestamp.ts'
import type { Codec } from '#test/support/batch-builder.ts'
import { BrokerFixture } from '#test/support/broker-fixture.ts'
import { Prng } from '#test/support/sim/prng.ts'

const TOPIC = 'times'

async function logOf(...batches: readonly (readonly number[])[]): Promise<BrokerFixture> {
  const fixture = await BrokerFixture.start()
  await fixture.createTopic(TOPIC)
  for (const times of batches) await appendTimes(fixture, times)
  return fixture
}

async function appendTimes(fixture: BrokerFixture, times: readonly number[], codec: Codec = 'none', value = '') {
  const records = times.map(timestampMs => ({ timestampMs, value }))
  await fixture.append(TOPIC, records, { codec, baseTimestampMs: times[0]!, maxTimestampMs: Math.max(...times) })
}

/** What is decompressed off the thread takes turns of the real event loop, of which the simulated clock knows nothing. */
async function settled<T>(fixture: BrokerFixture, promise: Promise<T>): Promise<T> {
  let isSettled = false
  const settle = () => {
    isSettled = true
  }
  promise.then(settle, settle)
  while (!isSettled) {
    await fixture.clock.runUntil(() => isSettled)
    await new Promise(resolve => setImmediate(resolve))
  }
  return promise
}

function find(fixture: BrokerFixture, timestampMs: number) {
  return settled(fixture, offsetForTimestamp(fixture.broker.log, fixture.partition(TOPIC), timestampMs))
}

function findNewest(fixture: BrokerFixture) {
  return settled(fixture, offsetOfMaxTimestamp(fixture.broker.log, fixture.partition(TOPIC)))
}

function startAt(fixture: BrokerFixture, offset: number) {
  return fixture.propose({ kind: 'log-start-moved', ordinal: fixture.partition(TOPIC).ordinal, offset })
}

describe('the first record from a time on', () => {
  it('is found within its batch, with its own time', async () => {
    const fixture = await logOf([10, 20, 30], [40])
    expect(await find(fixture, 0)).toEqual({ offset: 0, timestampMs: 10 })
    expect(await find(fixture, 20)).toEqual({ offset: 1, timestampMs: 20 })
    expect(await find(fixture, 21)).toEqual({ offset: 2, timestampMs: 30 })
    expect(await find(fixture, 31)).toEqual({ offset: 3, timestampMs: 40 })
    expect(fixture.broker.log.commits.image.last?.pins).toBe(0)
  })

  it('is the first in the order of offsets, though a later one is nearer', async () => {
    const fixture = await logOf([100], [50], [60], [70])
    expect(await find(fixture, 60)).toEqual({ offset: 0, timestampMs: 100 })
  })

  it('is nowhere if all are older, or there are none', async () => {
    const fixture = await logOf([10])
    expect(await find(fixture, 11)).toBeNull()
    expect(await find(await logOf(), 0)).toBeNull()
  })

  it('is not before the log start', async () => {
    const fixture = await logOf([50, 10, 20], [5])
    await startAt(fixture, 1)
    expect(await find(fixture, 15)).toEqual({ offset: 2, timestampMs: 20 })
    expect(await find(fixture, 30)).toBeNull()
    await startAt(fixture, 4)
    expect(await find(fixture, 0)).toBeNull()
  })

  it('is the first of its batch under LogAppendTime', async () => {
    const fixture = await logOf()
    await fixture.append(TOPIC, [{ timestampMs: 1 }, { timestampMs: 2 }], { attributes: 8, maxTimestampMs: 900 })
    expect(await find(fixture, 500)).toEqual({ offset: 0, timestampMs: 900 })
    expect(await findNewest(fixture)).toEqual({ offset: 0, timestampMs: 900 })
  })
})

describe('the newest record', () => {
  it('is the first of those with the largest time, not the last of its batch', async () => {
    const fixture = await logOf([10, 90, 20], [90], [5])
    expect(await findNewest(fixture)).toEqual({ offset: 1, timestampMs: 90 })
  })

  it('is one of those that are left', async () => {
    const fixture = await logOf([90, 10, 70], [60, 20], [5])
    await startAt(fixture, 1)
    expect(await findNewest(fixture)).toEqual({ offset: 2, timestampMs: 70 })
    await startAt(fixture, 3)
    expect(await findNewest(fixture)).toEqual({ offset: 3, timestampMs: 60 })
    await startAt(fixture, 4)
    expect(await findNewest(fixture)).toEqual({ offset: 4, timestampMs: 20 })
    await startAt(fixture, 6)
    expect(await findNewest(fixture)).toBeNull()
  })

  it('is nowhere if no record has a time', async () => {
    expect(await findNewest(await logOf([-1, -1]))).toBeNull()
    expect(await findNewest(await logOf())).toBeNull()
  })
})

describe('a search while the log changes', () => {
  it('finds nothing in a topic that is deleted meanwhile', async () => {
    const fixture = await logOf(...Array.from({ length: 2000 }, (_, i) => [i]))
    const partition = fixture.partition(TOPIC)
    const searching = offsetForTimestamp(fixture.broker.log, partition, 1999)
    await fixture.propose({ kind: 'topic-deleted', id: partition.topic.id })
    expect(await fixture.clock.run(searching)).toBeNull()
    expect(await fixture.clock.run(offsetForTimestamp(fixture.broker.log, partition, 0))).toBeNull()
  })

  it('goes on behind a log start that moves meanwhile', async () => {
    const fixture = await logOf(...Array.from({ length: 2000 }, (_, i) => [i]), [5000])
    const partition = fixture.partition(TOPIC)
    const searching = offsetForTimestamp(fixture.broker.log, partition, 3000)
    await startAt(fixture, 1500)
    expect(await fixture.clock.run(searching)).toEqual({ offset: 2000, timestampMs: 5000 })
  })
})

describe('searches of random logs', () => {
  const MANY_FILES = { walFileBytes: 2 ** 18, maxRequestBytes: 2 ** 17, maxMessageBytes: 2 ** 16, logCacheBytes: 0 }
  const CODECS: readonly Codec[] = ['none', 'gzip', 'snappy', 'lz4', 'zstd']

  it.each([1, 2, 3])('agree with a look at every record, wherever the records are (seed %i)', async seed => {
    const prng = new Prng(seed)
    const fixture = await BrokerFixture.start(MANY_FILES)
    await fixture.createTopic(TOPIC)
    const all: TimedOffset[] = []
    while (all.length < 400) {
      const times = Array.from({ length: prng.between(1, 6) }, () => prng.between(0, 300))
      for (const timestampMs of times) all.push({ offset: all.length, timestampMs })
      await appendTimes(fixture, times, prng.pick(CODECS), incompressible(prng))
    }
    const partition = fixture.partition(TOPIC)
    expect(partition.extents.length).toBeGreaterThan(3)
    for (let i = 0; i < 40; i++) {
      const left = all.filter(({ offset }) => offset >= partition.logStart)
      const timestampMs = prng.between(0, 310)
      expect(await find(fixture, timestampMs)).toEqual(left.find(one => one.timestampMs >= timestampMs) ?? null)
      const newestMs = Math.max(...left.map(one => one.timestampMs))
      expect(await findNewest(fixture)).toEqual(left.find(one => one.timestampMs === newestMs))
      await startAt(fixture, partition.logStart + prng.between(0, 10))
    }
  })
})

function incompressible(prng: Prng): string {
  return Array.from({ length: 700 }, () => prng.u32()).join('')
}
