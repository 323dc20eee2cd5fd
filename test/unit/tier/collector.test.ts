import { describe, expect, it } from 'vitest'
import { OWN_OBJECT, Segments } from '#core/segments.ts'
import type { Partition } from '#core/state.ts'
import { keyOfGarbage, segmentKey, storedSegment } from '#segments/segment-names.ts'
import { Prng } from '#test/support/sim/prng.ts'
import { SimClock } from '#test/support/sim/sim-clock.ts'
import { SimBucket } from '#test/support/sim/sim-object-store.ts'
import { TierLab, type TierLabOptions } from '#test/support/tier-lab.ts'
import { countTurns } from '#test/support/turns.ts'
import { Collector } from '#tier/collector.ts'
import type { InFlight } from '#tier/orphans.ts'
import { generationKey, OWNER_KEY } from '#tier/recovery/archive-names.ts'

const MINUTE_MS = 60_000
const HOUR_MS = 3_600_000
const NOTHING_IN_FLIGHT: InFlight = { sharedAt: Number.POSITIVE_INFINITY, revision: Number.POSITIVE_INFINITY }
const PATIENT = new AbortController().signal

class Lab {
  readonly bucket: SimBucket
  readonly tiers: TierLab
  readonly collector: Collector
  readonly counts = { deleted: 0, found: 0, failed: 0 }
  readonly reports: string[] = []
  archivedTo = Number.POSITIVE_INFINITY
  inFlight = NOTHING_IN_FLIGHT
  isOwner = true

  private constructor(bucket: SimBucket, tiers: TierLab, restoreWindowMs: number) {
    this.bucket = bucket
    this.tiers = tiers
    const { log, store, clock } = tiers
    this.collector = new Collector({
      ...{ log, store, clock, restoreWindowMs },
      metrics: {
        deleted: objects => {
          this.counts.deleted += objects
        },
        orphansFound: objects => {
          this.counts.found += objects
        },
        failed: () => {
          this.counts.failed++
        },
      },
      inFlight: () => this.inFlight,
      isArchived: position => position <= this.archivedTo,
      confirm: async () => {
        if (!this.isOwner) throw new Error('somebody else owns the store')
      },
      forget: () => undefined,
      report: (level, message) => this.reports.push(`${level}: ${message}`),
    })
  }

  static async open(restoreWindowMs = 0, options: TierLabOptions = {}): Promise<Lab> {
    const clock = new SimClock()
    const bucket = new SimBucket({ clock, prng: new Prng(3) })
    const lab = new Lab(bucket, await TierLab.open({ clock, bucket, ...options }), restoreWindowMs)
    await lab.own(1)
    return lab
  }

  async put(key: string): Promise<void> {
    await this.tiers.clock.run(this.tiers.store.put(key, [Buffer.from('an object')], PATIENT))
  }

  /** The store has an owner, who lives. */
  async own(generation: number): Promise<void> {
    await this.tiers.lab.propose({ kind: 'generation-begun', generation, ownerId: 'owner' })
    await this.put(generationKey(generation))
    await this.put(OWNER_KEY)
  }

  async partition(): Promise<Partition> {
    return (await this.tiers.lab.topic(`topic-${this.tiers.log.state.topics.size}`)).partitions[0]!
  }

  /** One segment more of each, in one object. */
  async seal(...partitions: Partition[]): Promise<string> {
    for (const partition of partitions) await this.tiers.appendMany(partition, 1)
    await this.tiers.seal(partitions)
    const [partition] = partitions
    return storedSegment(partition!, partition!.segments.at(partition!.segments.length - 1)).key
  }

  delete({ topic }: Partition): Promise<string> {
    return this.tiers.lab.propose({ kind: 'topic-deleted', id: topic.id })
  }

  async collect(): Promise<void> {
    await this.tiers.clock.run(this.collector.collect())
  }

  async sweep(): Promise<void> {
    await this.put(OWNER_KEY)
    await this.tiers.clock.run(this.collector.sweep())
  }

  async pass(ms: number): Promise<void> {
    await this.tiers.clock.runFor(ms)
  }

  get segments(): string[] {
    return this.bucket.keys.filter(key => key.startsWith('segments/'))
  }
}

describe('an object that nothing refers to any more', () => {
  it('stays for as long as it can be gone back to what was, and until nobody can read it', async () => {
    const lab = await Lab.open(HOUR_MS)
    const partition = await lab.partition()
    const key = await lab.seal(partition)
    await lab.delete(partition)
    await lab.collect()
    await lab.pass(HOUR_MS - MINUTE_MS)
    await lab.collect()
    expect(lab.segments).toEqual([key])
    await lab.pass(2 * MINUTE_MS)
    await lab.collect()
    expect(lab.segments).toEqual([])
    expect(lab.tiers.log.state.garbage.size).toBe(0)
    expect(lab.counts.deleted).toBe(1)
  })

  it('stays for a minute without a window, and until the store knows that it is not needed', async () => {
    const lab = await Lab.open()
    const partition = await lab.partition()
    const key = await lab.seal(partition)
    lab.archivedTo = lab.tiers.log.commits.position
    await lab.delete(partition)
    await lab.collect()
    await lab.pass(MINUTE_MS + 1)
    await lab.collect()
    expect(lab.segments).toEqual([key])
    lab.archivedTo = lab.tiers.log.commits.position
    await lab.collect()
    expect(lab.segments).toEqual([])

    const other = await lab.partition()
    await lab.seal(other)
    await lab.delete(other)
    lab.archivedTo = Number.POSITIVE_INFINITY
    await lab.collect()
    await lab.pass(MINUTE_MS - 1000)
    await lab.collect()
    expect(lab.segments.length).toBe(1)
  })

  it('stays when somebody else owns the store, who may refer to it', async () => {
    const lab = await Lab.open()
    const partition = await lab.partition()
    const key = await lab.seal(partition)
    await lab.delete(partition)
    await lab.collect()
    lab.isOwner = false
    await lab.pass(2 * MINUTE_MS)
    await expect(lab.collect()).rejects.toThrow('somebody else owns the store')
    expect([lab.segments, lab.tiers.log.state.garbage.size]).toEqual([[key], 1])
    lab.isOwner = true
    await lab.collect()
    expect(lab.segments).toEqual([])
  })

  it('goes after the log will have it that it is garbage, whatever happens', async () => {
    const lab = await Lab.open(0, { sync: HOUR_MS })
    const partition = await lab.partition()
    await lab.seal(partition)
    await lab.tiers.clock.run(lab.tiers.log.commits.sync())
    await lab.delete(partition)
    await lab.collect()
    await lab.pass(2 * MINUTE_MS)
    await lab.collect()
    expect(lab.segments).toEqual([])
    const after = await lab.tiers.crash()
    expect(after.log.state.topics.size).toBe(0)
  })

  it('that several had goes with the last of them', async () => {
    const lab = await Lab.open()
    const [first, second] = [await lab.partition(), await lab.partition()]
    await lab.seal(first, second)
    for (const [partition, left] of [
      [first, 1],
      [second, 0],
    ] as const) {
      await lab.delete(partition)
      await lab.collect()
      await lab.pass(2 * MINUTE_MS)
      await lab.collect()
      expect(lab.segments.length).toBe(left)
    }
  })
})

describe('an object that cannot be deleted', () => {
  it('keeps no other waiting, and is tried again', async () => {
    const lab = await Lab.open()
    const partitions = [await lab.partition(), await lab.partition(), await lab.partition()]
    const keys: string[] = []
    for (const partition of partitions) keys.push(await lab.seal(partition))
    for (const partition of partitions) await lab.delete(partition)
    await lab.collect()
    await lab.pass(MINUTE_MS + 1)
    lab.bucket.onCall = ({ verb, key }) => (verb === 'delete' && key === keys[0] ? 'denied' : null)
    await expect(lab.collect()).rejects.toMatchObject({ code: 'STORE_DENIED' })
    expect(lab.segments).toEqual([keys[0]])
    expect(lab.tiers.log.state.garbage.size).toBe(1)
    expect(lab.counts.deleted).toBe(2)
    lab.bucket.onCall = () => null
    await lab.pass(10 * MINUTE_MS)
    await lab.collect()
    expect([lab.segments, lab.tiers.log.state.garbage.size]).toEqual([[], 0])
  })

  it('is told of once, and once more when it can be', async () => {
    const lab = await Lab.open()
    const partition = await lab.partition()
    await lab.seal(partition)
    await lab.delete(partition)
    lab.bucket.onCall = ({ verb }) => (verb === 'delete' ? 'denied' : null)
    await lab.pass(25 * MINUTE_MS)
    const failed = expect.stringMatching('^warn: objects could not be deleted, it is tried again: .+')
    expect(lab.reports).toEqual([failed])
    expect(lab.counts.failed).toBe(3)
    lab.bucket.onCall = () => null
    await lab.pass(11 * MINUTE_MS)
    expect(lab.reports).toEqual([failed, 'info: objects can be deleted again'])
  })

  it('is not asked for a thousand times while the store takes nothing', async () => {
    const lab = await Lab.open()
    for (let left = 10; left > 0; left--) {
      const partition = await lab.partition()
      await lab.seal(partition)
      await lab.delete(partition)
    }
    await lab.collect()
    await lab.pass(MINUTE_MS + 1)
    let calls = 0
    lab.bucket.onCall = () => {
      calls++
      return 'denied'
    }
    await expect(lab.collect()).rejects.toMatchObject({ code: 'STORE_DENIED' })
    expect(calls).toBe(3)
  })
})

describe('garbage that is too young', () => {
  it('is not looked at, however much there is', async () => {
    const lab = await Lab.open(HOUR_MS)
    const partition = await lab.partition()
    await lab.seal(partition)
    await lab.delete(partition)
    const { garbage } = lab.tiers.log.state
    const [one] = garbage.values()
    let looks = 0
    for (let id = 1; id < 1000; id++) {
      const { segments, ...facts } = one!
      garbage.set(id, {
        ...facts,
        id,
        segments,
        get sinceMs() {
          looks++
          return one!.sinceMs
        },
      })
    }
    lab.tiers.log.state.garbageCount = 1000
    await lab.collect()
    await lab.pass(2 * MINUTE_MS)
    await lab.collect()
    expect(looks).toBe(0)
  })
})

describe('an orphan', () => {
  const shared = (generation: number, sharedAt: number) =>
    segmentKey({
      ...{ topicName: '', topicId: '', partition: -1, baseOffset: -1, nextOffset: -1 },
      ...{ generation, sharedAt, revision: 0, hash: 7 },
    })

  it('of an upload that was never finished goes when it is found for the second time, and is counted once', async () => {
    const lab = await Lab.open()
    const kept = await lab.seal(await lab.partition())
    await lab.put(shared(1, 0))
    await lab.sweep()
    expect(lab.segments).toEqual([kept, shared(1, 0)].sort())
    await lab.sweep()
    await lab.sweep()
    expect(lab.segments).toEqual([kept])
    expect(lab.counts).toEqual({ deleted: 1, found: 1, failed: 0 })
  })

  it('looks through much garbage in turns that leave the thread to others', async () => {
    const lab = await Lab.open()
    const { state } = lab.tiers.log
    const segments = new Segments()
    const of = { sizeBytes: 1, maxTimestampMs: 1, createdMs: 1, place: 0, indexPlace: 0, indexBytes: 0 }
    const named = { generation: 1, revision: 0, sharedAt: OWN_OBJECT }
    for (let i = 0; i < 3000; i++) segments.add({ ...of, ...named, baseOffset: i, nextOffset: i + 1, hash: i })
    state.garbage.set(0, { id: 0, sinceMs: 0, topicId: 'id', topicName: 'topic', partition: 0, segments })
    const garbage = state.garbage.get(0)!
    const key = keyOfGarbage(garbage, segments.at(2999))
    lab.bucket.poke(key, Buffer.alloc(1))
    const turns = countTurns(lab.tiers.clock)
    for (let sweep = 0; sweep < 3; sweep++) await lab.sweep()
    expect(turns.count).toBeGreaterThanOrEqual(15)
    expect(lab.bucket.keys).toContain(key)
    expect(lab.counts.found).toBe(0)
  })

  it('is not what is being made, what is to be sealed next, and what a newer owner has', async () => {
    const lab = await Lab.open()
    const partition = await lab.partition()
    const about = { topicName: partition.topic.name, topicId: partition.topic.id, partition: 0, sharedAt: -1, hash: 7 }
    const own = (baseOffset: number, generation: number, revision: number) =>
      segmentKey({ ...about, baseOffset, nextOffset: baseOffset + 9, generation, revision })
    lab.inFlight = { sharedAt: 50, revision: 1000 }
    const spared = [shared(1, 50), shared(2, 0), own(0, 1, 0), own(0, 1, 1000), own(0, 2, 0)]
    for (const key of [...spared, shared(1, 49), own(0, 1, 999)]) await lab.put(key)
    for (let sweep = 0; sweep < 3; sweep++) await lab.sweep()
    expect(lab.segments).toEqual(spared.sort())
    // What began at offset 0 is sealed: under this name nothing can be.
    const sealed = await lab.seal(partition)
    lab.inFlight = NOTHING_IN_FLIGHT
    for (let sweep = 0; sweep < 2; sweep++) await lab.sweep()
    expect(lab.segments).toEqual([own(0, 2, 0), sealed, shared(2, 0)].sort())
  })

  it('is not garbage that waits', async () => {
    const lab = await Lab.open(HOUR_MS)
    const partition = await lab.partition()
    const key = await lab.seal(partition)
    await lab.delete(partition)
    for (let sweep = 0; sweep < 3; sweep++) await lab.sweep()
    expect(lab.segments).toEqual([key])
    expect(lab.counts.found).toBe(0)
  })

  it('of an earlier owner stays, however old, until it cannot be gone back to his last moment', async () => {
    const lab = await Lab.open(24 * HOUR_MS)
    // Each owner restored a moment before there was this.
    const key = shared(1, 0)
    await lab.put(key)
    await lab.own(2)
    await lab.pass(20 * HOUR_MS)
    await lab.own(3)
    for (let hours = 0; hours < 23; hours++) {
      await lab.pass(HOUR_MS)
      await lab.sweep()
    }
    expect(lab.segments).toEqual([key])
    await lab.pass(2 * HOUR_MS)
    await lab.sweep()
    expect(lab.segments).toEqual([])
  })
})
