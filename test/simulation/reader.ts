import { type ChronikError, systemCodeOf } from '#base/errors.ts'
import type { Partition } from '#core/state.ts'
import type { Waiter } from '#log/log.ts'
import { type LogSlices, readLog, release } from '#log/read-log.ts'
import { baseOffsetOf, batchSizeBytesOf, leaderEpochOf } from '#records/batch.ts'
import { Violation } from './history.ts'
import type { PartitionModel } from './model.ts'
import type { World } from './world.ts'

/** Behind the base offset and the leader epoch nothing of a batch may change. */
const LENGTH_AT = 8
const EPOCH_AT = 12
const SAME_FROM = 16

/** Checks what was read against what it ought to be. Returns the offset behind the last batch. */
export function checkRead(model: PartitionModel, offset: number, read: LogSlices): number {
  const where = `${model.topic.name}-${model.index} from ${offset}`
  const bytes = Buffer.concat(read.slices)
  if (bytes.length !== read.sizeBytes) throw new Violation(`${where}: slices and their size differ`)
  if (bytes.length === 0) return offset
  let index = model.indexOf(offset)
  let nextOffset = offset
  for (let at = 0; at < bytes.length; index++) {
    const kept = model.batches[index]
    if (kept === undefined)
      throw new Violation(`${where}: a batch at ${baseOffsetOf(bytes, at)} that nobody was told of`)
    const { sent, baseOffset } = kept
    if (baseOffsetOf(bytes, at) !== baseOffset) {
      throw new Violation(`${where}: a batch at ${baseOffsetOf(bytes, at)} where batch ${sent.id} is at ${baseOffset}`)
    }
    const sizeBytes = batchSizeBytesOf(bytes, at)
    const isSame =
      sizeBytes === sent.bytes.length &&
      leaderEpochOf(bytes, at) === 0 &&
      bytes.subarray(at + LENGTH_AT, at + EPOCH_AT).equals(sent.bytes.subarray(LENGTH_AT, EPOCH_AT)) &&
      bytes.subarray(at + SAME_FROM, at + sizeBytes).equals(sent.bytes.subarray(SAME_FROM))
    if (!isSame) throw new Violation(`${where}: the bytes at ${baseOffset} are not those of batch ${sent.id}`)
    nextOffset = kept.nextOffset
    at += sizeBytes
  }
  if (read.nextOffset !== nextOffset) throw new Violation(`${where}: goes on at ${read.nextOffset}, not ${nextOffset}`)
  return nextOffset
}

/** The disk's own error, or what the store in a directory of it makes of that. */
export function isDiskFault(thrown: unknown): boolean {
  return systemCodeOf(thrown) === 'EIO' || systemCodeOf((thrown as Error).cause) === 'EIO'
}

/** A consumer that reads anywhere, keeps what it got for a while, and waits at the end of partitions. */
export class Reader {
  readonly #world: World
  readonly #waiting = new Map<Waiter, { ordinal: number; offset: number; isWoken: boolean }>()

  constructor(world: World) {
    this.#world = world
  }

  disconnected(): void {
    this.#waiting.clear()
  }

  step(): void {
    const { prng, log } = this.#world
    const partitions = log.state.partitions.filter(partition => partition !== undefined)
    if (partitions.length === 0) return
    const partition = prng.pick(partitions)
    const what = prng.fraction()
    if (what < 0.2) this.#wait(partition)
    else if (what < 0.4) this.#readFromDisk(partition)
    else this.#read(partition)
  }

  /** What is in memory is also in the file. */
  #readFromDisk(partition: Partition): void {
    const { log, history, prng } = this.#world
    const tail = log.tails[partition.ordinal]
    if (tail === undefined || tail.length === 0) return
    const index = prng.between(0, tail.length - 1)
    const model = history.model.partitions[partition.ordinal]!
    const { sent } = model.batches[model.indexOf(tail.baseOffset(index))]!
    const bytes = Buffer.alloc(sent.bytes.length)
    const compare = (): void =>
      this.#world.guard(() => {
        if (!bytes.equals(sent.bytes)) throw new Violation(`the file has other bytes than batch ${sent.id}`)
      })
    const offset = tail.baseOffset(index)
    const failed = (thrown: unknown): void => {
      // It is sealed by now, and its file is gone.
      if (offset < partition.walStart && (thrown as ChronikError).code === 'LOG_TRIMMED') return
      this.#failed(partition, offset, thrown)
    }
    this.#world.own(log.commits.files.read(tail.position(index), bytes.length, bytes, 0).then(compare, failed))
  }

  #read(partition: Partition): void {
    const { prng, log } = this.#world
    const isNew = prng.chance(0.5)
    const least = isNew ? Math.max(partition.logStart, partition.nextOffset - 40) : partition.logStart
    const offset = prng.between(least, partition.nextOffset)
    const maxBytes = prng.pick([0, 500, 5000, 200_000, 10_000_000])
    const atLeastOne = prng.chance(0.5)
    const end = partition.nextOffset
    const read = readLog(log, partition, { offset, endOffset: partition.nextOffset, maxBytes, atLeastOne })
    const take = (slices: LogSlices): void => this.#took(partition, { offset, end, maxBytes, atLeastOne }, slices)
    if (read instanceof Promise) {
      const failed = (thrown: unknown): void => this.#failed(partition, offset, thrown)
      this.#world.own(read.then(take, failed))
    } else take(read)
  }

  #took(
    partition: Partition,
    asked: { offset: number; end: number; maxBytes: number; atLeastOne: boolean },
    read: LogSlices,
  ): void {
    const { history, clock, prng, log } = this.#world
    const { offset, end, maxBytes, atLeastOne } = asked
    const model = history.model.partitions[partition.ordinal]
    this.#world.guard(() => {
      if (model === undefined) return
      const nextOffset = checkRead(model, offset, read)
      const first = model.batches[model.indexOf(offset)]
      const next = model.batches[model.indexOf(nextOffset)]
      const isFirstOnly = read.sizeBytes === first?.sent.bytes.length
      if (read.sizeBytes > maxBytes && !(atLeastOne && isFirstOnly)) throw new Violation('more was read than asked for')
      // It may end where the segments end, or where it was when the rest was sealed.
      const isAll = nextOffset >= end || next === undefined || nextOffset <= partition.walStart
      const wouldFit = read.sizeBytes + (next?.sent.bytes.length ?? 0) <= maxBytes
      const isNone = read.sizeBytes === 0 && nextOffset < end
      if ((!isAll && wouldFit) || (atLeastOne && isNone)) {
        throw new Violation(`less was read than there is: to ${nextOffset} of ${end}`)
      }
    })
    clock.after(prng.between(0, 50), () => {
      // Nobody may have used the memory for anything else while it was held.
      this.#world.guard(() => {
        if (model !== undefined) checkRead(model, offset, read)
      })
      if (log === this.#world.log) release(log, read)
    })
  }

  #failed(partition: Partition, offset: number, thrown: unknown): void {
    const { log, faultsOnReads, tiers } = this.#world
    const isGone = log.state.partitions[partition.ordinal] === undefined || partition.logStart > offset
    if (isGone && !(thrown instanceof Error && thrown.name === 'AssertionFailed')) return
    if (faultsOnReads && isDiskFault(thrown)) return
    if (tiers?.isExpected(thrown)) return
    if ((thrown as ChronikError).code === 'LOG_CLOSED') return
    this.#world.guard(() => {
      throw new Violation(`reading at ${offset} failed: ${thrown instanceof Error ? thrown.stack : String(thrown)}`)
    })
  }

  // ---- waiting

  #wait(partition: Partition): void {
    const { log, clock, prng } = this.#world
    const { ordinal, nextOffset } = partition
    const known = { ordinal, offset: nextOffset, isWoken: false }
    const waiter: Waiter = {
      wake: () => {
        known.isWoken = true
      },
    }
    this.#waiting.set(waiter, known)
    log.waiters.waitFor(ordinal, waiter)
    clock.after(prng.between(1, 200), () => {
      log.waiters.stop(ordinal, waiter)
      this.#waiting.delete(waiter)
    })
  }

  /** After a commit: everybody who waits for something that has happened was woken. */
  checkWaiters(): void {
    const { log } = this.#world
    for (const { ordinal, offset, isWoken } of this.#waiting.values()) {
      const partition = log.state.partitions[ordinal]
      const hasHappened = partition === undefined || partition.nextOffset > offset || partition.logStart > offset
      if (hasHappened && !isWoken) throw new Violation('a waiter was not woken')
    }
  }
}
