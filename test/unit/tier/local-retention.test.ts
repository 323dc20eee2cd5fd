import { describe, expect, it } from 'vitest'
import { BufferPool } from '#bytes/buffer-pool.ts'
import { settingsFrom } from '#config/load-settings.ts'
import type { Partition, State } from '#core/state.ts'
import { TopicRules } from '#log/log.ts'
import { CACHE_LIMITS, openRangeCache, type RangeCache } from '#object-store/range-cache.ts'
import { createCacheMetrics } from '#observe/cache-metrics.ts'
import { parseSegmentKey } from '#segments/segment-names.ts'
import { Prng } from '#test/support/sim/prng.ts'
import { SimClock } from '#test/support/sim/sim-clock.ts'
import { SimBucket } from '#test/support/sim/sim-object-store.ts'
import { TierLab } from '#test/support/tier-lab.ts'
import { LocalRetention } from '#tier/local-retention.ts'

const KIB = 1024
const MINUTE = 60_000
const PATIENT = new AbortController().signal

interface Cached {
  lab: TierLab
  cache: RangeCache
  retention: LocalRetention
  /** The base offsets of the segments of a partition that are in the cache. */
  cachedOf(partition: Partition): number[]
}

async function cached(): Promise<Cached> {
  const clock = new SimClock()
  const bucket = new SimBucket({ clock, prng: new Prng(3) })
  const lab = await TierLab.open({ clock, bucket })
  const limits = { ...CACHE_LIMITS, blockBytes: 4 * KIB, chunkBytes: KIB, slabSlots: 16 }
  const cache = openRangeCache({
    disk: lab.lab.disk,
    clock,
    store: lab.store,
    directory: '/data/cache',
    limitBytes: 1 << 20,
    limits,
    buffers: new BufferPool(0),
    metrics: createCacheMetrics(),
    report() {},
  })
  const retention = new LocalRetention({ log: lab.log, topicRules: rulesOf(lab.log.state), cache, clock, report() {} })
  const cachedOf = ({ topic, index }: Partition) =>
    cache
      .keys()
      .map(key => parseSegmentKey(key)!)
      .filter(name => name.topicId === topic.id && name.partition === index)
      .map(name => name.baseOffset)
      .sort((a, b) => a - b)
  return { lab, cache, retention, cachedOf }
}

function rulesOf(state: State): TopicRules {
  const loaded = settingsFrom({})
  if (!loaded.ok) throw new Error(loaded.errors.join('\n'))
  return new TopicRules(state, loaded.settings, loaded.sources)
}

/** A partition of segments with a record each, of a KiB, a minute apart; all of them are read once. */
async function archived({ lab, cache }: Cached, configs: Record<string, string>, segments = 4): Promise<Partition> {
  const name = `topic-${lab.log.state.topics.size}`
  const topic = await lab.lab.topic(name, 1, new Map(Object.entries(configs)))
  const partition = topic.partitions[0]!
  for (let i = 0; i < segments; i++) {
    await lab.appendMany(partition, 1, { sizeBytes: KIB, timestampMs: lab.clock.nowMs() })
    await lab.seal([partition])
    await lab.clock.runFor(MINUTE)
  }
  for (const { key } of await listed(lab)) await lab.clock.run(cache.getRange(key, 0, 1, PATIENT))
  await lab.clock.runFor(1000)
  return partition
}

async function listed({ clock, store }: TierLab): Promise<{ key: string }[]> {
  const keys: { key: string }[] = []
  const list = async () => {
    for await (const { key } of store.list('segments/', '', PATIENT)) keys.push({ key })
  }
  await clock.run(list())
  return keys
}

describe('the cache of a bucket keeps', () => {
  it('all of a topic for which nothing is said', async () => {
    const it = await cached()
    const partition = await archived(it, {})
    await it.lab.clock.runFor(2 * MINUTE)
    expect(it.cachedOf(partition)).toEqual([0, 1, 2, 3])
  })

  it('the newest bytes, as many as local.retention.bytes', async () => {
    const it = await cached()
    const partition = await archived(it, { 'local.retention.bytes': `${2 * KIB}` })
    await it.lab.clock.runFor(2 * MINUTE)
    expect(it.cachedOf(partition)).toEqual([2, 3])
  })

  it('what is younger than local.retention.ms, and nothing when that has passed', async () => {
    const it = await cached()
    const partition = await archived(it, { 'local.retention.ms': `${2.5 * MINUTE}` })
    await it.lab.clock.run(it.retention.enforce())
    expect(it.cachedOf(partition)).toEqual([2, 3])
    await it.lab.clock.runFor(4 * MINUTE)
    expect(it.cachedOf(partition)).toEqual([])
  })

  it('nothing of segments that others took the place of, or of topics that are gone', async () => {
    const it = await cached()
    const rewritten = await archived(it, {})
    const deleted = await archived(it, {})
    await it.lab.rewrite(rewritten, [0, 2], () => true)
    await it.lab.lab.propose({ kind: 'topic-deleted', id: deleted.topic.id })
    await it.lab.clock.run(it.retention.enforce())
    expect(it.cachedOf(rewritten)).toEqual([2, 3])
    expect(it.cachedOf(deleted)).toEqual([])
  })

  it('what is about to be a segment', async () => {
    const it = await cached()
    const partition = await archived(it, {}, 0)
    await it.lab.appendMany(partition, 1, { sizeBytes: KIB, timestampMs: it.lab.clock.nowMs() })
    const { topic } = partition
    const range = '00000000000000000000-00000000000000000001-g0-00000000'
    const key = `segments/${topic.id}/${topic.name}/0/${range}.log`
    await it.lab.clock.run(it.cache.keep(key, [Buffer.alloc(KIB)]))
    await it.lab.clock.run(it.retention.enforce())
    expect(it.cache.keys()).toEqual([key])
  })
})
