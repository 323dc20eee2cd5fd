import type { Timer } from '#base/ports.ts'
import { followAccepted, type LogEvent } from '#log/follow.ts'
import { Violation } from '#test/simulation/history.ts'
import type { Machine } from './machine.ts'

// Follows the log as an index does, and keeps the batches of each producer back until its transaction ends: what comes of them must
// be what the ledger says.

const SILENT_MS = 2000

interface Held {
  readonly topicId: string
  readonly partition: number
  readonly baseOffset: number
  readonly recordCount: number
}

export class CommittedFollower {
  readonly #machine: Machine
  readonly #held = new Map<number, Held[]>()
  /** By partition: the offsets that are known to count. */
  readonly #committed = new Map<string, Set<number>>()

  constructor(machine: Machine) {
    this.#machine = machine
  }

  /** All there is, from the beginning of the log. */
  async followToTheEnd(): Promise<void> {
    const { log, clock } = this.#machine
    const ending = new AbortController()
    const endSoon = (): Timer => clock.after(SILENT_MS, () => ending.abort())
    // When nothing comes any more it has everything, and waits.
    let silence = endSoon()
    for await (const event of followAccepted(log, 0, ending.signal)) {
      this.#saw(event)
      silence.cancel()
      silence = endSoon()
    }
    this.#checkAll()
  }

  #saw(event: LogEvent): void {
    if (event.kind === 'batch') {
      if (event.transactionOf === null) this.#count(event)
      else this.#heldOf(event.transactionOf).push(event)
    } else if (event.kind === 'transaction-end') {
      const held = this.#heldOf(event.producerId).splice(0)
      const counting = held.filter(batch => event.isCommit && event.markers.some(marker => isEndedBy(marker, batch)))
      for (const batch of counting) this.#count(batch)
    }
  }

  #heldOf(producerId: number): Held[] {
    const held = this.#held.get(producerId) ?? []
    this.#held.set(producerId, held)
    return held
  }

  #count({ topicId, partition, baseOffset }: Held): void {
    const key = `${topicId}#${partition}`
    const committed = this.#committed.get(key) ?? new Set()
    committed.add(baseOffset)
    this.#committed.set(key, committed)
  }

  #checkAll(): void {
    for (const partition of this.#machine.ledger.partitions) {
      if (partition === undefined) continue
      const key = `${partition.topicId}#${partition.index}`
      const found = this.#committed.get(key) ?? new Set()
      for (const { baseOffset, nextOffset, fate } of partition.batches) {
        if (fate === 'marker') continue
        const counts = fate === 'committed' || fate === 'plain'
        const isGone = nextOffset <= partition.logStart
        if (found.has(baseOffset) === counts || (counts && isGone)) continue
        throw new Violation(`a follower ${counts ? 'misses' : 'counts'} what is ${fate} at ${baseOffset} of ${key}`)
      }
    }
  }
}

type EndMarker = Extract<LogEvent, { kind: 'transaction-end' }>['markers'][number]

function isEndedBy({ topicId, partition, logStart }: EndMarker, batch: Held): boolean {
  const isThere = batch.topicId === topicId && batch.partition === partition
  return isThere && batch.baseOffset + batch.recordCount > logStart
}
