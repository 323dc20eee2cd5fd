import type { Change } from '#core/change-records.ts'
import { ACCEPTED, DUPLICATE, type Outcome } from '#core/core.ts'
import type { BatchEntry } from '#core/produce-record.kernel.ts'
import type { Partition } from '#core/state.ts'
import type { Log } from '#log/log.ts'
import { highWatermark, lastStableOffset } from '#log/read-bounds.ts'
import { Violation } from '#test/simulation/history.ts'
import type { Chronicle, Entry } from './chronicle.ts'
import type { Host } from './host.ts'
import type { RecoveryWorld } from './recovery-world.ts'

/** Writes down what a log applies, as it does. */
export class LogWitness {
  readonly #world: RecoveryWorld
  readonly #host: Host
  readonly #log: Log
  /** Of the transaction whose end is being applied. */
  #markers: { partition: Partition; baseOffset: number; crc: number }[] = []

  constructor(world: RecoveryWorld, host: Host, log: Log) {
    this.#world = world
    this.#host = host
    this.#log = log
    const { batch, marked, change } = log
    log.batch = (verdict, partition, baseOffset, entry) => {
      world.guard(() => this.#batch(verdict, partition, baseOffset, entry))
      batch.call(log, verdict, partition, baseOffset, entry)
    }
    log.marked = (partition, baseOffset, marker) => {
      this.#markers.push({ partition, baseOffset, crc: marker.crc })
      marked.call(log, partition, baseOffset, marker)
    }
    log.change = (changed, outcome) => {
      world.guard(() => this.#change(changed, outcome))
      change.call(log, changed, outcome)
    }
  }

  get #chronicle(): Chronicle {
    return this.#host.chronicle!
  }

  committed(endPosition: number): void {
    this.#chronicle.groupEnded(endPosition)
    this.#world.guard(() => this.#lookAround())
  }

  /** What somebody can read he was told of. */
  #lookAround(): void {
    for (const partition of this.#log.state.partitions) {
      if (partition === undefined) continue
      const { entries } = this.#chronicle.story(partition.topic.id, partition.index)
      const highest = highWatermark(this.#log, partition)
      const seen = entries.findLastIndex(({ nextOffset }) => nextOffset <= highest)
      if (seen >= 0 && highest > partition.logStart) this.#chronicle.ack(entries[seen]!.event)
      const stableEnd = lastStableOffset(this.#log, partition)
      for (const end of entries.slice(seen + 1).filter(({ kind }) => kind !== 'batch')) {
        const behind = entries.slice(0, entries.indexOf(end)).filter(entry => entry.producerId === end.producerId)
        const first = behind[behind.findLastIndex(({ kind }) => kind !== 'batch') + 1]
        // What was deleted of it is in nobody's way.
        if (first === undefined || first.baseOffset >= stableEnd || stableEnd === partition.logStart) continue
        throw new Violation(`a transaction can be read from ${first.baseOffset} on, and its end is not answered`)
      }
    }
  }

  #batch(verdict: number, partition: Partition | undefined, baseOffset: number, entry: BatchEntry): void {
    const event = this.#chronicle.happens(this.#log.state.timeMs)
    if (partition === undefined) return
    const { topic, index } = partition
    const story = this.#chronicle.story(topic.id, index)
    if (verdict === DUPLICATE && baseOffset >= partition.logStart && story.find(baseOffset)?.crc !== entry.crc) {
      throw new Violation(`${story.key} is said to have a batch at ${baseOffset}, where it is not`)
    }
    if (verdict !== ACCEPTED) return
    this.#world.count('accepted')
    const { crc, recordCount, producerId, producerEpoch, baseSequence: sequence } = entry
    const place = { baseOffset, nextOffset: baseOffset + recordCount }
    const who = { producerId, producerEpoch, sequence: producerId < 0 ? -1 : sequence }
    story.add({ kind: 'batch', crc, ...place, ...who, ...this.#now(event) })
  }

  #now(event: number): Pick<Entry, 'event' | 'appliedMs' | 'ackedMs'> {
    return { event, appliedMs: this.#world.clock.monotonicMs(), ackedMs: null }
  }

  #change(change: Change, outcome: Outcome): void {
    if (this.#host.doubt !== null) throw this.#host.doubt
    const event = this.#chronicle.happens(this.#log.state.timeMs)
    const { state } = this.#log
    const markers = this.#markers.splice(0)
    switch (change.kind) {
      case 'transaction-ended':
        if (change.isCommit && outcome === 'NONE') this.#demandWhole(change.transactionalId, change)
        for (const { partition, baseOffset, crc } of markers) {
          const { producerId, markerEpoch: producerEpoch, isCommit } = change
          const story = this.#chronicle.story(partition.topic.id, partition.index)
          const place = { baseOffset, nextOffset: baseOffset + 1 }
          const who = { producerId, producerEpoch, sequence: -1 }
          story.add({ kind: isCommit ? 'commit' : 'abort', crc, ...place, ...who, ...this.#now(event) })
        }
        break
      case 'topic-created':
        if (outcome !== 'NONE') break
        for (const { index } of state.topicsById.get(change.id)!.partitions)
          this.#chronicle.born(change.id, index, event)
        break
      case 'topic-deleted':
        for (const story of this.#chronicle.stories.values()) {
          if (story.topicId === change.id) story.goneAt = Math.min(story.goneAt, event)
        }
        break
      case 'generation-begun':
        // What it archives from here on may be restored, whether its start succeeds or not.
        this.#world.chronicles.set(change.generation, this.#chronicle)
        break
      case 'log-start-moved':
        this.#step(state.partitions[change.ordinal], 'logStarts', event)
        break
      case 'segments-committed':
        for (const { ordinal } of change.parts) this.#step(state.partitions[ordinal], 'sealed', event)
        break
    }
  }

  /** What is committed was asked to be, and has everything that its client was told is in it. */
  #demandWhole(id: string, { producerId, epoch }: { producerId: number; epoch: number }): void {
    if (this.#world.hasLostOnDisk) return
    const attempt = this.#world.attempts.get(id)
    if (attempt?.producerId !== producerId || attempt.producerEpoch !== epoch) return
    if (!attempt.isCommitAsked) throw new Violation(`${id} is committed, and nobody asked for that`)
    for (const { story: key, baseOffset, crc } of attempt.acked) {
      const story = this.#chronicle.stories.get(key)
      if (story === undefined || story.entries.some(entry => entry.crc === crc)) continue
      const { lastEvent } = this.#chronicle
      if (!story.isThereAt(lastEvent) || baseOffset < story.logStartAt(lastEvent)) continue
      throw new Violation(`${id} is committed without a batch that it has in ${key}`)
    }
  }

  #step(partition: Partition | undefined, which: 'logStarts' | 'sealed', event: number): void {
    if (partition === undefined) return
    const offset = which === 'sealed' ? partition.walStart : partition.logStart
    this.#chronicle.story(partition.topic.id, partition.index)[which].push({ event, offset })
  }
}
