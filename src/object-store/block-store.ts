import { assert } from '#base/assert.ts'
import { messageOf } from '#base/errors.ts'
import type { Clock } from '#base/ports.ts'
import { crc32c } from '#bytes/crc32c.kernel.ts'
import type { CacheMetrics } from '#observe/cache-metrics.ts'
import { CacheFiles, type CacheFilesOptions, type FoundBlock } from './cache-files.ts'
import { checksumsOf } from './cache-slab.ts'
import { CacheSlots, type FirstUse, type SlotOwner } from './cache-slots.ts'

// Blocks of objects on the disk: which there are, and their bytes. What writes does so in turn, one write at a time, so that a disk
// that makes writers wait keeps one thread of the pool busy and not all. A disk that fails costs what it would have kept, and
// nothing else.

export interface BlockOwner extends SlotOwner {
  readonly key: string
  /** Nothing more of it is kept. */
  isForgotten: boolean
}

export interface BlockStoreOptions<Owner extends BlockOwner> extends CacheFilesOptions {
  readonly clock: Clock
  readonly metrics: CacheMetrics
  /** After a failure nothing is written for so long. */
  readonly retryMs: number
  readonly ownerOf: (key: string) => Owner
  /** One of its blocks has gone. */
  readonly lostBlock: (owner: Owner) => void
  report(level: 'info' | 'warn' | 'error', message: string, fields?: Record<string, unknown>): void
}

/** A line in the log says at most so often that blocks are damaged. */
const DAMAGE_REPORT_MS = 60_000
/** What is found in one go: about a millisecond. */
const BLOCKS_PER_TURN = 1000
/** In the number that sorts what was found by age, the part that is the slot. */
const SLOTS_IN_ORDER = 2 ** 20

export class BlockStore<Owner extends BlockOwner> {
  readonly #options: BlockStoreOptions<Owner>
  readonly #files: CacheFiles
  readonly #slots: CacheSlots<Owner>
  readonly #writes: Spell
  readonly #growth: Spell
  /** What an earlier process left is found. */
  readonly loaded: Promise<void>
  #isUsable = true
  #isClosed = false
  #nextSequence = 1
  #lastTurn: Promise<unknown> = Promise.resolve()
  #damageReportedMs = Number.NEGATIVE_INFINITY

  constructor(options: BlockStoreOptions<Owner>) {
    this.#options = options
    this.#files = new CacheFiles(options)
    this.#slots = new CacheSlots(Math.ceil(options.blockBytes / options.chunkBytes), owner => {
      options.metrics.cacheEvictions.value++
      options.lostBlock(owner)
    })
    this.#writes = new Spell(options, 'writing to')
    this.#growth = new Spell(options, 'enlarging')
    this.loaded = this.#load()
  }

  get blocks(): number {
    return this.#slots.blocks
  }

  get usedBytes(): number {
    return this.#slots.usedBytes
  }

  /** What it takes on the disk, used or not. */
  get diskBytes(): number {
    return this.#files.sizeBytes
  }

  /** Blocks there is room for in the end, as far as the disk allows. */
  get capacityBlocks(): number {
    if (!this.#isUsable) return 0
    return this.#growth.isFailing ? this.#slots.count : this.#files.slotsAtLimit
  }

  /** Blocks that were fetched ahead of a reader and that nobody asked for yet. */
  get unreadAhead(): number {
    return this.#slots.unreadAhead
  }

  async #load(): Promise<void> {
    const { report, directory } = this.#options
    const found: FoundBlock[] = []
    try {
      for await (const { slots, blocks } of this.#files.load()) {
        this.#slots.add(slots - this.#slots.count)
        found.push(...blocks)
        if (this.#isClosed) break
      }
    } catch (error) {
      this.#isUsable = false
      report('error', `the cache in ${directory} cannot be used: ${messageOf(error)}`, { error })
    }
    await this.#fillIn(found)
  }

  /** The oldest first, in turns that leave the thread to others. Of two that are the same block, one was in a slot that was freed. */
  async #fillIn(found: readonly FoundBlock[]): Promise<void> {
    assert(this.#slots.count <= SLOTS_IN_ORDER, 'the setting bounds the cache')
    const order = Float64Array.from(found, ({ sequence, slot }) => sequence * SLOTS_IN_ORDER + slot).sort()
    const bySlot: (FoundBlock | undefined)[] = []
    for (const block of found) bySlot[block.slot] = block
    for (const [i, place] of order.entries()) {
      const block = bySlot[place % SLOTS_IN_ORDER]!
      const owner = this.#options.ownerOf(block.key)
      const older = owner.slots.get(block.block)
      if (older !== undefined) {
        this.#slots.remove(older)
        bySlot[older] = undefined
      }
      this.#slots.fill(block.slot, owner, block, { use: 'unused', nowMs: 0 })
      this.#nextSequence = block.sequence + 1
      if (i % BLOCKS_PER_TURN === BLOCKS_PER_TURN - 1) await new Promise<void>(done => this.#options.clock.soon(done))
    }
    for (let slot = this.#slots.count - 1; slot >= 0; slot--) if (bySlot[slot] === undefined) this.#slots.free(slot)
  }

  // ---- reading

  /** A reader takes what is in a slot: until `release` it stays there. `isNew`: it has not just read it. */
  take(slot: number, isNew: boolean): void {
    this.#slots.pin(slot)
    this.#slots.use(slot, isNew, this.#options.clock.monotonicMs())
  }

  release(slot: number): void {
    this.#slots.unpin(slot)
  }

  sizeOf(slot: number): number {
    return this.#slots.sizeBytes(slot)
  }

  /** Reads whole chunks of a block from `from` on; false if they are not what was written. */
  async read(slot: number, from: number, into: Uint8Array): Promise<boolean> {
    if (this.#isClosed) return false
    const isThere = await this.#files.read(slot, from, into).catch(() => false)
    return isThere && this.#isIntact(slot, from, into)
  }

  #isIntact(slot: number, from: number, bytes: Uint8Array): boolean {
    const { chunkBytes } = this.#options
    let chunk = from / chunkBytes
    for (let at = 0; at < bytes.length; at += chunkBytes, chunk++) {
      if (crc32c(bytes, at, Math.min(at + chunkBytes, bytes.length)) !== this.#slots.checksum(slot, chunk)) return false
    }
    return true
  }

  // ---- writing

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#lastTurn.then(work)
    this.#lastTurn = turn.catch(() => {})
    return turn
  }

  /**
   * Keeps a block, if it is not there. False: there is no room for it now, or the disk fails. `use` is asked when its turn comes,
   * and when it is on the disk; null: it need not be kept any more.
   */
  put(owner: Owner, block: number, bytes: Uint8Array, use: () => FirstUse | null): Promise<boolean> {
    return this.#inTurn(async () => {
      if (owner.isForgotten || owner.slots.has(block) || use() === null) return true
      const slot = await this.#slotToWrite()
      if (slot < 0) return false
      const checksums = checksumsOf(bytes, this.#options.chunkBytes)
      const entry = { key: owner.key, block, sizeBytes: bytes.length, checksums, sequence: this.#nextSequence++ }
      try {
        await this.#files.write(slot, entry, bytes)
      } catch (error) {
        this.#slots.free(slot)
        this.#writes.failed(error)
        return false
      }
      this.#writes.worked()
      if (owner.isForgotten) await this.#clear(slot)
      else this.#slots.fill(slot, owner, entry, { use: use() ?? 'used', nowMs: this.#options.clock.monotonicMs() })
      return true
    })
  }

  async #slotToWrite(): Promise<number> {
    if (!this.#isUsable || this.#isClosed || this.#writes.isPausing) return -1
    if (this.#slots.freeCount === 0 && !this.#files.isFull && !this.#growth.isPausing) await this.#grow()
    return this.#slots.take()
  }

  async #grow(): Promise<void> {
    try {
      const before = this.#files.slots
      await this.#files.grow()
      this.#slots.add(this.#files.slots - before)
      for (let slot = this.#slots.count - 1; slot >= before; slot--) this.#slots.free(slot)
      this.#growth.worked()
    } catch (error) {
      this.#growth.failed(error)
    }
  }

  /** Takes all blocks of an owner away; resolves when the disk no longer knows of them. */
  async forget(owner: Owner): Promise<void> {
    const slots = [...owner.slots.values()]
    for (const slot of slots) this.#slots.remove(slot)
    await this.#inTurn(async () => {
      for (const slot of slots) await this.#clear(slot)
    })
  }

  /** What is in the slot of a block is not the block. */
  damaged(owner: Owner, block: number, slot: number): void {
    if (this.#isClosed || owner.slots.get(block) !== slot) return
    const { clock, metrics, report, directory } = this.#options
    metrics.cacheDamagedBlocks.value++
    const nowMs = clock.monotonicMs()
    if (nowMs - this.#damageReportedMs >= DAMAGE_REPORT_MS) {
      this.#damageReportedMs = nowMs
      report('warn', `a block in the cache ${directory} is damaged: it is fetched again`, { key: owner.key, block })
    }
    this.drop(owner, block, slot)
  }

  /** What is in the slot of a block is of no use. */
  drop(owner: Owner, block: number, slot: number): void {
    assert(owner.slots.get(block) === slot, 'what is dropped is there')
    this.#slots.remove(slot)
    this.#options.lostBlock(owner)
    void this.#inTurn(() => this.#clear(slot))
  }

  /** In turn. */
  async #clear(slot: number): Promise<void> {
    // If that fails, what is found there later has the checksums that it had, or is no entry.
    if (!this.#isClosed) await this.#files.clear(slot).catch(() => {})
    this.#slots.free(slot)
  }

  /** Finishes what is being written. Nobody reads any more. */
  async close(): Promise<void> {
    this.#isClosed = true
    await this.loaded
    await this.#lastTurn
    await this.#files.close()
  }
}

type SpellOptions = Pick<BlockStoreOptions<BlockOwner>, 'clock' | 'metrics' | 'retryMs' | 'directory' | 'report'>

/** While something fails: one line in the log when that begins and one when it ends, and a pause after each attempt. */
class Spell {
  readonly #options: SpellOptions
  readonly #what: string
  #beganMs: number | null = null
  #pausedUntilMs = Number.NEGATIVE_INFINITY

  constructor(options: SpellOptions, what: string) {
    this.#options = options
    this.#what = what
  }

  get isFailing(): boolean {
    return this.#beganMs !== null
  }

  /** It failed just now: it is not tried yet. */
  get isPausing(): boolean {
    return this.#options.clock.monotonicMs() < this.#pausedUntilMs
  }

  failed(error: unknown): void {
    const { clock, metrics, retryMs, directory, report } = this.#options
    metrics.cacheWriteFailures.value++
    const nowMs = clock.monotonicMs()
    this.#pausedUntilMs = nowMs + retryMs
    if (this.#beganMs !== null) return
    this.#beganMs = nowMs
    report('warn', `${this.#what} the cache ${directory} fails: ${messageOf(error)}`, { error })
  }

  worked(): void {
    if (this.#beganMs === null) return
    const { clock, directory, report } = this.#options
    const failedMs = Math.round(clock.monotonicMs() - this.#beganMs)
    this.#beganMs = null
    report('info', `${this.#what} the cache ${directory} works again`, { failedMs })
  }
}
