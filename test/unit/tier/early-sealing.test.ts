import { describe, expect, it } from 'vitest'
import type { Partition } from '#core/state.ts'
import type { SentBatch } from '#test/simulation/batches.ts'
import { Prng } from '#test/support/sim/prng.ts'
import { SimClock } from '#test/support/sim/sim-clock.ts'
import { SimBucket } from '#test/support/sim/sim-object-store.ts'
import { TierLab } from '#test/support/tier-lab.ts'
import { StoreRecordTail } from '#tier/recovery/record-tail.ts'
import { type CopyWish, copyWishOf } from '#tier/seal-plan.ts'

// What travels to a bucket while records come: sealed, and copied before.

const TAIL_MS = 1000
const SECOND_MS = 1000
/** Of the store, there and back, for each request. */
const BYTES_PER_MS = 200_000
const LATENCY_MS = 30
const MEGABYTE = 1e6
const LEAST_BATCH_BYTES = 80

class Traffic {
  readonly lab: TierLab
  readonly bucket: SimBucket
  readonly tail: StoreRecordTail
  /** Of all partitions, whoever seals; null: what it says. */
  wish: CopyWish | null = null
  producedBytes = 0
  tailedBytes = 0
  sealedPuts = 0
  tailPuts = 0
  #isOver = false
  readonly #batches = new Map<Partition, SentBatch>()

  private constructor(lab: TierLab, bucket: SimBucket) {
    this.lab = lab
    this.bucket = bucket
    const { log, store, clock } = lab
    const limits = { segmentBytes: 64 << 20, segmentMs: 60_000, tailMs: TAIL_MS }
    this.tail = new StoreRecordTail(
      {
        log,
        store,
        clock,
        intervalMs: TAIL_MS,
        restoreWindowMs: 0,
        metrics: {
          copied: sizeBytes => {
            this.tailedBytes += sizeBytes
          },
        },
        copyWish: partition =>
          this.wish ?? copyWishOf(log.unsealed.find(partition.ordinal)!, { nowMs: clock.monotonicMs(), limits }),
        isArchived: () => true,
        confirm: async () => {},
        report() {},
      },
      [],
    )
    bucket.onCall = ({ verb, key }) => {
      if (verb === 'put') this.#count(key)
      return null
    }
    lab.sealer(limits)
  }

  static async begin(): Promise<Traffic> {
    const clock = new SimClock()
    const latencyMs = ({ sizeBytes }: { sizeBytes: number }) => LATENCY_MS + sizeBytes / BYTES_PER_MS
    const bucket = new SimBucket({ clock, prng: new Prng(3), latencyMs })
    const lab = await TierLab.open({ clock, bucket, walFileBytes: 32 << 20, cacheBytes: 64 << 20 })
    const traffic = new Traffic(lab, bucket)
    void traffic.#copy()
    return traffic
  }

  #count(key: string): void {
    if (key.startsWith('tail/')) this.tailPuts++
    else this.sealedPuts++
  }

  /** As the archive does it. */
  async #copy(): Promise<void> {
    const { signal } = new AbortController()
    while (!this.#isOver) {
      await new Promise<void>(resolve => this.lab.clock.after(SECOND_MS, resolve))
      await this.tail.upload(this.lab.log.commits.position, false, signal)
    }
  }

  /** Of each partition so much a second, one a little behind the other. */
  async produce(partitions: readonly Partition[], bytesPerSecond: number, seconds: number): Promise<void> {
    const sizeBytes = Math.max(LEAST_BATCH_BYTES, Math.min(1 << 16, Math.floor(bytesPerSecond / 10)))
    const everyMs = (sizeBytes / bytesPerSecond) * SECOND_MS
    for (let i = 0; i < partitions.length; i++) {
      const partition = partitions[i]!
      const batch = this.#batches.get(partition) ?? this.lab.lab.batch(partition, { sizeBytes })
      this.#batches.set(partition, batch)
      const send = () => {
        if (this.#isOver) return
        void this.lab.lab.send(batch)
        this.producedBytes += sizeBytes
        this.lab.clock.after(everyMs, send)
      }
      this.lab.clock.after((i / partitions.length) * everyMs, send)
    }
    for (let second = 0; second < seconds; second++) {
      await this.lab.clock.runFor(SECOND_MS)
      // Nobody reads it: memory is for what comes.
      for (const key of this.bucket.keys) if (key.startsWith('segments/')) this.bucket.remove(key)
    }
    this.#isOver = true
  }
}

describe('100 MB/s into a bucket', () => {
  it.each([
    [1, 2],
    [10, 11],
    [100, 4],
  ])('of %i partitions are copied before they are sealed to a tenth at most', async (count, putsPerSecond) => {
    const traffic = await Traffic.begin()
    const { partitions } = await traffic.lab.lab.topic('topic', count)
    const seconds = 4
    await traffic.produce(partitions, (100 * MEGABYTE) / count, seconds)
    expect(traffic.producedBytes).toBeGreaterThan(seconds * 99 * MEGABYTE)
    expect(traffic.tailedBytes).toBeLessThan(traffic.producedBytes / 10)
    expect(traffic.sealedPuts).toBeLessThanOrEqual(putsPerSecond * seconds)
    expect(traffic.lab.log.unsealed.sizeBytes).toBeLessThan(200 * MEGABYTE)
  })
})

describe('what is sealed as soon as the store takes it', () => {
  it('is copied to a tenth at most, however long it waits', async () => {
    const traffic = await Traffic.begin()
    traffic.wish = { from: 0, isSealedNext: true }
    const { partitions } = await traffic.lab.lab.topic('topic', 4)
    await traffic.produce(partitions, 25 * MEGABYTE, 5)
    expect(traffic.tailedBytes).toBeGreaterThan(0)
    expect(traffic.tailedBytes).toBeLessThan(traffic.producedBytes / 10)
    expect(traffic.tail.lag.ms).toBeGreaterThan(SECOND_MS / 2)
    expect(traffic.tail.lag.bytes).toBeGreaterThan(25 * MEGABYTE)
  })
})

describe('ten thousand trickling partitions', () => {
  it('are two requests a second at most, sealed and copied', async () => {
    const traffic = await Traffic.begin()
    const { partitions } = await traffic.lab.lab.topic('topic', 10_000)
    const seconds = 70
    await traffic.produce(partitions, 4, seconds)
    expect(traffic.sealedPuts).toBeGreaterThan(0)
    expect(traffic.sealedPuts + traffic.tailPuts).toBeLessThanOrEqual(2 * seconds)
    expect(traffic.tailedBytes).toBeGreaterThan(traffic.producedBytes / 2)
  })
})

describe('what is relied on to be sealed and is not', () => {
  async function withPartition() {
    const traffic = await Traffic.begin()
    const [partition] = (await traffic.lab.lab.topic('topic')).partitions
    return { traffic, lab: traffic.lab, partition: partition! }
  }

  it('because no more came is copied the next time', async () => {
    const { traffic, lab, partition } = await withPartition()
    await lab.clock.runFor(800)
    await lab.appendMany(partition, 4, { sizeBytes: 100_000 })
    await lab.clock.runFor(300)
    expect(traffic.tailedBytes).toBe(0)
    await lab.clock.runFor(1000)
    expect(traffic.tailedBytes).toBeGreaterThan(400_000)
    expect(partition.walStart).toBe(0)
  })

  it('because the store does not take segments is copied after two seconds, once', async () => {
    const { traffic, lab, partition } = await withPartition()
    traffic.bucket.onCall = ({ key }) => (key.startsWith('segments/') ? 'unavailable' : null)
    await lab.appendMany(partition, 8, { sizeBytes: 100_000 })
    await lab.clock.runFor(1500)
    expect(traffic.tailedBytes).toBe(0)
    await lab.clock.runFor(20_000)
    expect(traffic.tailedBytes).toBeGreaterThan(800_000)
    expect(traffic.tailedBytes).toBeLessThan(900_000)
  })

  it('because a transaction is open is copied from its begin on', async () => {
    const { traffic, lab, partition } = await withPartition()
    const from = { fromProducerId: -1, fromEpoch: -1, isNamed: false }
    const claim = { transactionalId: 'copier', timeoutMs: 600_000, ...from, producerId: 1, epoch: 0 }
    await lab.lab.propose({ kind: 'transactional-id-claimed', ...claim })
    await lab.appendMany(partition, 8, { sizeBytes: 100_000 })
    await lab.lab.append(partition, { producer: { id: 1, epoch: 0, sequence: 0, isTransactional: true } })
    await lab.appendMany(partition, 2, { sizeBytes: 1000 })
    await lab.clock.runFor(10_000)
    expect([partition.walStart, partition.nextOffset]).toEqual([8, 11])
    expect([traffic.tailPuts, traffic.sealedPuts]).toEqual([1, 1])
    expect(traffic.tailedBytes).toBeLessThan(4000)
  })
})
