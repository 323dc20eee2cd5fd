import { ChronikError, messageOf } from '#base/errors.ts'
import type { Clock, Random, Timer } from '#base/ports.ts'
import { Walk } from '#base/walk.ts'
import { PiecePool } from '#bytes/piece-pool.ts'
import { OWN_OBJECT } from '#core/segments.ts'
import type { Partition } from '#core/state.ts'
import type { Log, TopicRules } from '#log/log.ts'
import { lastStableOffset } from '#log/read-bounds.ts'
import type { ObjectStore } from '#object-store/object-store.ts'
import type { TierWork } from '#observe/tier-metrics.ts'
import { type CompactionResult, compactSegments } from './compact-segments.ts'
import { byUrgency, type CompactionPlan, planCompaction } from './compaction/plan.ts'
import { type MergePlan, planMerge, sharedMerges } from './merge-plan.ts'
import { mergeSegments } from './merge-segments.ts'
import { onPartition, PartitionDamaged, type Rewriting } from './rewrite.ts'

// Writes segments anew in the background: topics that are compacted lose what newer records have replaced, and small segments become one.
// One object at a time, so that memory and the store are left to others. A partition that cannot be read waits alone.

/** Kafka: log.cleaner.backoff.ms */
const INTERVAL_MS = 15_000
/** Kafka: log.cleaner.dedupe.buffer.size is 128 MiB for all its threads. A key takes 32 bytes. */
const MAP_BYTES = 64 << 20
const LEAST_MAP_BYTES = 1 << 20
const BYTES_PER_KEY = 32
const SECRET_BYTES = 16
const KEPT_PIECES_BYTES = 16 << 20
/** What cannot be read is looked at again after so long: somebody may have put it back. */
const ASIDE_MS = 600_000
/** A merged object has about so many bytes at most. */
const MERGED_BYTES = 64 << 20

export interface RewriterOptions {
  readonly log: Log
  readonly topicRules: TopicRules
  readonly store: ObjectStore
  readonly clock: Clock
  readonly random: Random
  readonly segmentBytes: number
  readonly metrics: RewriteMetrics
  report(level: 'info' | 'warn', message: string, fields?: Record<string, unknown>): void
}

export interface RewriteMetrics {
  compacted(result: CompactionResult, seconds: number): void
  merged(segments: number): void
  failed(kind: TierWork): void
}

export class Rewriter {
  readonly #options: RewriterOptions
  readonly #rewriting: Rewriting
  readonly #ended = new AbortController()
  #timer: Timer | null = null
  #working: Promise<void> = Promise.resolve()
  /** What is being made. */
  #sharedAt = Number.POSITIVE_INFINITY
  #revision = Number.POSITIVE_INFINITY
  #isFailing = false
  /** Those that cannot be read, and until when they are left alone. */
  readonly #aside = new Map<Partition, number>()

  constructor(options: RewriterOptions) {
    this.#options = options
    this.#rewriting = { log: options.log, store: options.store, pieces: new PiecePool(KEPT_PIECES_BYTES) }
    this.#wait()
  }

  get inFlight(): { sharedAt: number; revision: number } {
    return { sharedAt: this.#sharedAt, revision: this.#revision }
  }

  #wait(): void {
    if (this.#ended.signal.aborted) return
    this.#timer = this.#options.clock.after(INTERVAL_MS, () => {
      this.#working = this.work()
        .catch(thrown => this.#failed(thrown))
        .finally(() => this.#wait())
    })
  }

  #failed(thrown: unknown): void {
    if (this.#ended.signal.aborted || this.#options.log.commits.failure !== null) return
    if (!this.#isFailing) {
      this.#options.report('warn', `segments could not be written anew, it is tried again: ${messageOf(thrown)}`)
    }
    this.#isFailing = true
  }

  /** Compacts and merges what is due. */
  async work(): Promise<void> {
    const nowMs = this.#options.clock.monotonicMs()
    for (const [partition, untilMs] of this.#aside) if (untilMs <= nowMs) this.#aside.delete(partition)
    await this.#compactAll()
    await this.#mergeAll()
    if (this.#isFailing) this.#options.report('info', 'segments are written anew again')
    this.#isFailing = false
  }

  async #compactAll(): Promise<void> {
    const walk = new Walk(this.#options.clock)
    const due: { partition: Partition; plan: CompactionPlan }[] = []
    for (const topic of [...this.#options.log.state.topics.values()]) {
      const { config } = this.#options.topicRules.of(topic)
      if (!config.compacts) continue
      for (const partition of topic.partitions) {
        const plan = this.#planFor(partition)
        if (plan !== null) due.push({ partition, plan })
        if (walk.stepped(1 + partition.segments.length)) await walk.rest()
        this.#ended.signal.throwIfAborted()
      }
    }
    for (const { partition } of due.sort((a, b) => byUrgency(a.plan, b.plan))) {
      // Since it was found others were compacted, which takes time.
      const plan = this.#planFor(partition)
      if (plan !== null) await this.#tryOut('compaction', () => this.#compact(partition, plan))
    }
  }

  #planFor(partition: Partition): CompactionPlan | null {
    const { log, topicRules, clock } = this.#options
    if (log.state.partitions[partition.ordinal] !== partition || this.#aside.has(partition)) return null
    const { cleanedTo, cleanHorizonMs } = partition
    const segments = Array.from({ length: partition.segments.length }, (_, i) => partition.segments.at(i))
    // A value that is not answered takes the place of no other.
    const stable = { lastStableOffset: lastStableOffset(log, partition) }
    const compactable = { segments, cleanedTo, ...stable, lastHorizonMs: cleanHorizonMs }
    return planCompaction(compactable, topicRules.of(partition.topic).config, clock.nowMs())
  }

  async #compact(partition: Partition, plan: CompactionPlan): Promise<void> {
    const { topicRules, clock, random, metrics, report, segmentBytes } = this.#options
    const { config } = topicRules.of(partition.topic)
    const beganMs = clock.monotonicMs()
    // A key an offset at most.
    const wantedBytes = (plan.to - plan.dirtyFrom) * BYTES_PER_KEY
    this.#revision = Math.floor(clock.nowMs())
    const compacting = compactSegments(
      this.#rewriting,
      { partition, plan },
      {
        deleteRetentionMs: config.deleteRetentionMs,
        segmentBytes: Math.min(segmentBytes, config.segmentBytes),
        mapBytes: Math.max(LEAST_MAP_BYTES, Math.min(MAP_BYTES, wantedBytes)),
        secret: random.bytes(SECRET_BYTES),
      },
      this.#ended.signal,
    )
    const result = await onPartition(partition, compacting)
    const seconds = (clock.monotonicMs() - beganMs) / 1000
    metrics.compacted(result, seconds)
    const { topic, index } = partition
    const { readBytes, keptBytes, records, keptRecords } = result
    report('info', `compacted ${topic.name}-${index}`, { readBytes, keptBytes, records, keptRecords, seconds })
  }

  async #mergeAll(): Promise<void> {
    const { log, clock, metrics } = this.#options
    for (const runs of sharedMerges(await this.#runs())) {
      this.#sharedAt = runs.length === 1 ? Number.POSITIVE_INFINITY : log.commits.position
      this.#revision = Math.floor(clock.nowMs())
      const sharedAt = runs.length === 1 ? OWN_OBJECT : log.commits.position
      await this.#tryOut('merging', async () => {
        metrics.merged(await mergeSegments(this.#rewriting, { runs, sharedAt }, this.#ended.signal))
      })
      await this.#turn()
    }
  }

  async #runs(): Promise<MergePlan[]> {
    const walk = new Walk(this.#options.clock)
    const runs: MergePlan[] = []
    for (const partition of [...this.#options.log.state.partitions]) {
      if (partition === undefined || this.#aside.has(partition)) continue
      const run = planMerge(partition, MERGED_BYTES)
      if (run !== null) runs.push(run)
      if (walk.stepped(1 + partition.segments.length)) await walk.rest()
    }
    this.#ended.signal.throwIfAborted()
    return runs
  }

  #putAside({ partition, message }: PartitionDamaged): void {
    this.#options.report('warn', `${message}; it is tried again in ${ASIDE_MS / 60_000} minutes`)
    this.#aside.set(partition, this.#options.clock.monotonicMs() + ASIDE_MS)
  }

  /** Retention or the deletion of a topic may take segments away while they are read; or they are damaged. */
  async #tryOut(kind: TierWork, work: () => Promise<void>): Promise<void> {
    try {
      await work()
    } catch (thrown) {
      const isGone =
        thrown instanceof ChronikError && (thrown.code === 'OBJECT_MISSING' || thrown.code === 'LOG_TRIMMED')
      if (!isGone && !this.#ended.signal.aborted) this.#options.metrics.failed(kind)
      if (thrown instanceof PartitionDamaged) this.#putAside(thrown)
      else if (!isGone) throw thrown
    } finally {
      this.#sharedAt = Number.POSITIVE_INFINITY
      this.#revision = Number.POSITIVE_INFINITY
    }
  }

  #turn(): Promise<void> {
    this.#ended.signal.throwIfAborted()
    return new Promise(resolve => this.#options.clock.soon(resolve))
  }

  async close(): Promise<void> {
    this.#ended.abort()
    this.#timer?.cancel()
    await this.#working
  }
}
