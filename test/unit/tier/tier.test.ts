import { describe, expect, it, onTestFinished } from 'vitest'
import { BufferPool } from '#bytes/buffer-pool.ts'
import { startRetention } from '#kafka/retention-task.ts'
import { CACHE_LIMITS, openRangeCache } from '#object-store/range-cache.ts'
import { createCacheMetrics } from '#observe/cache-metrics.ts'
import type { RecordFields } from '#test/support/batch-builder.ts'
import { readBatches, recordsOf } from '#test/support/batch-reader.ts'
import { BrokerFixture } from '#test/support/broker-fixture.ts'
import { startTier } from '#tier/tier.ts'

// All that happens behind the write-ahead log, beside retention, on a simulated machine with a bucket and a cache in front of it.

const MINUTE_MS = 60_000
const TOPIC = 'topic'

class Lab {
  readonly fixture: BrokerFixture
  readonly counts = { deleted: 0, compacted: 0 }
  readonly #cached: () => string[]

  private constructor(fixture: BrokerFixture) {
    this.fixture = fixture
    const { broker, clock, disk, bucket } = fixture
    const store = bucket.connect()
    const cache = openRangeCache({
      ...{ disk, clock, store, directory: '/data/cache', limitBytes: 8 << 20 },
      ...{ limits: CACHE_LIMITS, buffers: new BufferPool(0), metrics: createCacheMetrics(), report() {} },
    })
    this.#cached = () => cache.keys()
    startTier({
      ...{ ...broker, store, cache, restoreWindowMs: 0, walLimitBytes: 1 << 30, isArchived: () => true },
      ...{ confirm: async () => {}, report() {} },
      limits: { segmentBytes: 64 << 20, segmentMs: MINUTE_MS, tailMs: Number.POSITIVE_INFINITY },
      metrics: {
        ...{ sealed() {}, sealFailed() {}, merged() {}, orphansFound() {}, failed() {} },
        deleted: objects => {
          this.counts.deleted += objects
        },
        compacted: () => this.counts.compacted++,
      },
    })
    onTestFinished(startRetention(broker))
  }

  /** With one topic. */
  static async begin(configs: Record<string, string>, partitions = 1): Promise<Lab> {
    const fixture = await BrokerFixture.startWithBucket({ retentionCheckIntervalMs: MINUTE_MS })
    await fixture.createTopic(TOPIC, { configs, partitions })
    return new Lab(fixture)
  }

  /** To each partition; of now, and sealed: all of them in one object. */
  async append(records: readonly RecordFields[]): Promise<void> {
    const timestampMs = this.fixture.clock.nowMs()
    const dated = records.map(record => ({ timestampMs, ...record }))
    for (const { index: partition } of this.fixture.partition(TOPIC).topic.partitions) {
      await this.fixture.append(TOPIC, dated, { partition })
    }
    await this.pass(2)
  }

  pass(minutes: number): Promise<void> {
    return this.fixture.clock.runFor(minutes * MINUTE_MS)
  }

  get logStart(): number {
    return this.fixture.partition(TOPIC).logStart
  }

  /** Segments of the first partition, objects in the bucket, and in the cache. */
  get segments(): number[] {
    const stored = this.fixture.bucket.keys.filter(key => key.startsWith('segments/'))
    return [this.fixture.partition(TOPIC).segments.length, stored.length, this.#cached().length]
  }

  async read(fetchOffset: number): Promise<string[]> {
    const topics = [{ topic: TOPIC, partitions: [{ partition: 0, fetchOffset, partitionMaxBytes: 1 << 20 }] }]
    const { responses } = await this.fixture.ask('Fetch', 11, { maxWaitMs: 0, minBytes: 1, maxBytes: 1 << 20, topics })
    const found = readBatches(responses[0]!.partitions[0]!.records).flatMap(recordsOf)
    return found.map(({ offset, key, value }) => `${offset} ${key}=${value}`)
  }
}

describe('sealed records', () => {
  it('that are older than retention.ms leave the log, the bucket and the cache', async () => {
    const lab = await Lab.begin({ 'retention.ms': `${20 * MINUTE_MS}` }, 2)
    await lab.append([{ value: 'old' }, { value: 'old' }])
    await lab.pass(10)
    await lab.append([{ value: 'fresh' }])
    expect([lab.logStart, lab.segments]).toEqual([0, [2, 2, 2]])
    await lab.pass(10)
    expect([lab.logStart, lab.segments, lab.counts.deleted]).toEqual([2, [1, 1, 1], 1])
    expect(await lab.read(2)).toEqual(['2 =fresh'])
    await lab.pass(20)
    expect([lab.logStart, lab.segments, lab.counts.deleted]).toEqual([3, [0, 0, 0], 2])
  })

  it('are kept no longer than retention.ms and segment.ms, however small they come', async () => {
    const lab = await Lab.begin({ 'retention.ms': `${60 * MINUTE_MS}`, 'segment.ms': `${20 * MINUTE_MS}` })
    let oldestMinutes = 0
    for (let minute = 0; minute < 300; minute += 2) {
      await lab.append([{ value: 'x'.repeat(200) }])
      oldestMinutes = Math.max(oldestMinutes, minute - 2 * lab.logStart)
    }
    expect(oldestMinutes).toBeGreaterThan(60)
    expect(oldestMinutes).toBeLessThanOrEqual(60 + 20)
  })

  it('go, the oldest first, when the others are retention.bytes', async () => {
    const lab = await Lab.begin({ 'retention.bytes': '2500' })
    const value = 'x'.repeat(1000)
    for (let i = 0; i < 5; i++) await lab.append([{ value }])
    await lab.pass(5)
    expect([lab.logStart, lab.segments, lab.counts.deleted]).toEqual([2, [3, 3, 3], 2])
  })

  it('are compacted, and go when they are old, where both is wanted', async () => {
    const configs = { 'cleanup.policy': 'compact,delete', 'retention.ms': `${30 * MINUTE_MS}` }
    const lab = await Lab.begin({ ...configs, 'min.cleanable.dirty.ratio': '0.01' })
    await lab.append([
      { key: 'a', value: '1' },
      { key: 'b', value: '1' },
    ])
    await lab.append([{ key: 'a', value: '2' }])
    await lab.pass(10)
    expect(lab.counts.compacted).toBeGreaterThan(0)
    expect(lab.logStart).toBe(0)
    expect(await lab.read(0)).toEqual(['1 b=1', '2 a=2'])
    await lab.pass(25)
    expect([lab.logStart, lab.segments]).toEqual([3, [0, 0, 0]])
  })
})
