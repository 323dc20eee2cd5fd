import { PiecePool } from '#bytes/piece-pool.ts'
import { NO_NUMBERS } from '#core/packed-fields.ts'
import { OWN_OBJECT, type Segment } from '#core/segments.ts'
import type { Partition } from '#core/state.ts'
import { type LogSlices, type ReadRange, readLog, release } from '#log/read-log.ts'
import { openLocalStore } from '#object-store/local-store.ts'
import type { ObjectStore } from '#object-store/object-store.ts'
import { baseOffsetOf, batchSizeBytesOf } from '#records/batch.ts'
import { storedSegment } from '#segments/segment-names.ts'
import { SegmentWriter } from '#segments/segment-writer.ts'
import { rangeFrom } from '#test/simulation/range.ts'
import type { SealLimits } from '#tier/seal-plan.ts'
import { type SealResult, sealSegment } from '#tier/seal-segment.ts'
import { Sealer } from '#tier/sealer.ts'
import { type Appended, LogLab, type LogLabOptions } from './log-lab.ts'
import { scribblingSource } from './scribbling-source.ts'
import { Prng } from './sim/prng.ts'
import { SimClock } from './sim/sim-clock.ts'
import { SimDisk } from './sim/sim-disk.ts'
import type { SimBucket, SimObjectStore } from './sim/sim-object-store.ts'

// A log and where its segments go: a bucket, or a directory of the same simulated disk.

export interface TierLabOptions extends LogLabOptions {
  bucket?: SimBucket
}

export const STORE = '/data/store'
const patient = new AbortController().signal

export interface SealWishes {
  /** Of each segment; a batch at least. */
  maxBytes?: number
}

export interface SealerWishes extends Partial<SealLimits> {
  walLimitBytes?: number
}

export interface BytesRead {
  readonly bytes: Buffer
  readonly sizeBytes: number
  readonly nextOffset: number
}

export class TierLab {
  readonly lab: LogLab
  readonly store: ObjectStore
  /** What the sealer said and counted. */
  readonly sealed = { reports: [] as string[], segments: 0, failures: 0 }
  readonly #options: TierLabOptions

  private constructor(lab: LogLab, store: ObjectStore, options: TierLabOptions) {
    this.lab = lab
    this.store = store
    this.#options = options
  }

  static async open(options: TierLabOptions = {}): Promise<TierLab> {
    const clock = (options.clock as SimClock | undefined) ?? new SimClock()
    const disk = new SimDisk({ clock, latencyMs: ({ kind }) => (kind === 'sync' ? 0.1 : 0.01), prng: new Prng(7) })
    await clock.run(disk.makeDirectory('/data').then(() => disk.syncDirectory('')))
    return TierLab.#on(disk, options, clock)
  }

  static async #on(disk: SimDisk, options: TierLabOptions, clock: LogLab['clock']): Promise<TierLab> {
    const { bucket, ...ofLog } = options
    const prng = new Prng(11)
    const random = { bytes: (count: number) => Buffer.from(Array.from({ length: count }, () => prng.between(0, 255))) }
    const local = () => clock.run(openLocalStore({ disk, random, directory: STORE }))
    const store = bucket === undefined ? await local() : bucket.connect()
    return new TierLab(await LogLab.on(disk, clock, { ...ofLog, segments: scribblingSource(store) }), store, options)
  }

  /** The power goes, and comes back. */
  crash(): Promise<TierLab> {
    return this.#onward(this.lab.disk.crash())
  }

  async closeAndOpen(): Promise<TierLab> {
    await this.lab.clock.run(this.lab.log.close())
    return this.#onward(this.lab.disk.crash())
  }

  /** The same machine once more, as if this one had been killed now. */
  copy(): Promise<TierLab> {
    return TierLab.#on(this.lab.disk.copy(), this.#options, this.clock)
  }

  #onward(disk: SimDisk): Promise<TierLab> {
    if (this.#options.bucket !== undefined) (this.store as SimObjectStore).kill()
    this.lab.clock.forgetAll()
    return TierLab.#on(disk, this.#options, this.lab.clock)
  }

  // ---- sealing

  get log(): LogLab['log'] {
    return this.lab.log
  }

  get clock(): LogLab['clock'] {
    return this.lab.clock
  }

  partition(topic?: string, index?: number): Partition {
    return this.lab.partition(topic, index)
  }

  /** One object with a segment of each partition. */
  seal(partitions: readonly Partition[], wishes: SealWishes = {}): Promise<SealResult> {
    return this.clock.run(this.sealing(partitions, wishes))
  }

  /** The same without letting time pass. */
  sealing(partitions: readonly Partition[], { maxBytes = 64 << 20 }: SealWishes = {}): Promise<SealResult> {
    const parts = { log: this.log, store: this.store, pieces: new PiecePool(0) }
    const wishes = partitions.map(partition => ({ partition, maxBytes, partBytes: maxBytes }))
    const sharedAt = partitions.length === 1 ? OWN_OBJECT : this.log.commits.position
    return sealSegment(parts, { wishes, sharedAt }, patient)
  }

  /** All of a partition, each segment in an object of its own. */
  async sealAll(partition: Partition, wishes: SealWishes = {}): Promise<void> {
    while (partition.walStart < partition.firstUnstableOffset) await this.seal([partition], wishes)
  }

  sealer(wishes: SealerWishes = {}): Sealer {
    const { segmentBytes = 64 << 20, segmentMs = 60_000, tailMs = Infinity, walLimitBytes = 1 << 30 } = wishes
    const { sealed } = this
    return new Sealer({
      log: this.log,
      store: this.store,
      clock: this.clock,
      limits: { segmentBytes, segmentMs, tailMs },
      walLimitBytes,
      metrics: {
        sealed(segments) {
          sealed.segments += segments
        },
        sealFailed() {
          sealed.failures++
        },
      },
      report: (level, message) => sealed.reports.push(`${level}: ${message}`),
    })
  }

  /** Writes segments anew, as one and with some of their batches, as compaction does. */
  async rewrite(partition: Partition, [first, end]: [number, number], keeps: (n: number) => boolean): Promise<string> {
    const { segments, topic, index } = partition
    const old = Array.from({ length: end - first }, (_, i) => segments.at(first + i))
    const range = { baseOffset: old[0]!.baseOffset, nextOffset: old.at(-1)!.nextOffset }
    const writer = new SegmentWriter(new PiecePool(0))
    const { createdMs } = old[0]!
    writer.beginPart({ topicId: topic.id, topicName: topic.name, partition: index, ...range, createdMs })
    const bytes = await this.lab.readAll(partition, range.baseOffset)
    for (let [at, n] = [0, 0]; at < bytes.length && baseOffsetOf(bytes, at) < range.nextOffset; n++) {
      const sizeBytes = batchSizeBytesOf(bytes, at)
      if (keeps(n)) writer.addBatch(bytes, at, sizeBytes, baseOffsetOf(bytes, at), partition.leaderEpoch)
      at += sizeBytes
    }
    writer.endPart(range.nextOffset, NO_NUMBERS)
    const { pieces, parts } = writer.end()
    const name = { generation: this.log.state.generation, revision: 1, sharedAt: OWN_OBJECT, hash: 0 }
    const segment: Segment = { ...parts[0]!, ...name }
    await this.clock.run(this.store.put(storedSegment(partition, segment).key, pieces, patient))
    const replacement = { ordinal: partition.ordinal, replaced: old, by: [segment], cleaned: null }
    return this.lab.propose({ kind: 'segments-replaced', ...replacement })
  }

  // ---- reading

  /** The batches that one read gives, as bytes, and where it goes on. */
  read(partition: Partition, offset: number, maxBytes = 1 << 20, atLeastOne = true): Promise<BytesRead> {
    return this.clock.run(this.reading(partition, offset, maxBytes, atLeastOne))
  }

  /** The same without letting time pass. */
  async reading(partition: Partition, offset: number, maxBytes = 1 << 20, atLeastOne = true): Promise<BytesRead> {
    const read = await readLog(this.log, partition, { ...rangeFrom(partition, offset, maxBytes), atLeastOne })
    const bytes = Buffer.concat(read.slices)
    const { nextOffset, sizeBytes } = read
    release(this.log, read)
    return { bytes, nextOffset, sizeBytes }
  }

  async readRange(partition: Partition, range: ReadRange): Promise<LogSlices> {
    const read = await this.clock.run(Promise.resolve(readLog(this.log, partition, range)))
    release(this.log, read)
    return read
  }

  readAll(partition: Partition, from?: number, maxBytes?: number): Promise<Buffer> {
    return this.lab.readAll(partition, from, maxBytes)
  }

  appendMany(partition: Partition, count: number, wish: Parameters<LogLab['append']>[1] = {}): Promise<Appended[]> {
    return this.lab.appendMany(partition, count, wish)
  }
}
