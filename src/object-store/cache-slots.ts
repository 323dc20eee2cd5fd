import { assert } from '#base/assert.ts'

// Which block is in which slot of the cache, and which goes when room is needed. Pure; the bytes are kept by cache-files.ts.
//
// Two queues in the order of use. What is new comes into `probation`; what is used again, by another reader than the one it was
// fetched for and not at the same time, moves to `protected`. Room is made in `probation` first: a reader that goes through
// everything once pushes out what it has read itself. `protected` has at most PROTECTED_PART of the slots, and gives the others
// back to `probation`, those first that were unused for longest.
//
//   free ──take──▶ taken ──fill──▶ probation ◀──▶ protected     take: of the oldest block that nobody reads, if none is free
//    ▲               │                 │              │
//    └─────free──────┴──◀──remove──────┴──────────────┘

export interface SlotOwner {
  /** Slots by block. */
  readonly slots: Map<number, number>
}

/** How a block came into the cache: asked for, written through, or fetched because it will probably be asked for. */
export type FirstUse = 'used' | 'unused' | 'ahead'

/** What part of the slots is for blocks that were used again. */
const PROTECTED_PART = 0.8
/** Readers that come to a block within this time come together: as if it were one. */
const TOGETHER_MS = 1000
/** Blocks that are being read, of which so many are passed over in search of one that can go. */
const PASSED_OVER = 256
const NONE = -1

const FREE = 0
const TAKEN = 1
const PROBATION = 2
const PROTECTED = 3
/** Free as soon as nobody reads it any more. */
const LEAVING = 4

const UNUSED = 0
const USED = 1
const AHEAD = 2

export class CacheSlots<Owner extends SlotOwner> {
  readonly #chunks: number
  readonly #evicted: (owner: Owner) => void
  readonly #owners: (Owner | null)[] = []
  readonly #free: number[] = []
  #blocks = new Uint32Array(0)
  #sizes = new Uint32Array(0)
  /** Of each chunk of each block. */
  #checksums = new Uint32Array(0)
  #states = new Uint8Array(0)
  #uses = new Uint8Array(0)
  #readers = new Uint32Array(0)
  /** When a block was used, at the begin of the time in which further uses are the same one. */
  #usedMs = new Float64Array(0)
  /** Towards what was used later, and earlier. */
  #later = new Int32Array(0)
  #earlier = new Int32Array(0)
  readonly #probation: Queue = { newest: NONE, oldest: NONE, length: 0 }
  readonly #protected: Queue = { newest: NONE, oldest: NONE, length: 0 }
  #count = 0
  #unreadAhead = 0
  #usedBytes = 0

  /** A block has at most so many chunks; `evicted` is told of an owner that has one block less. */
  constructor(chunks: number, evicted: (owner: Owner) => void) {
    this.#chunks = chunks
    this.#evicted = evicted
  }

  /** Of all slots, used or not. */
  get count(): number {
    return this.#count
  }

  get freeCount(): number {
    return this.#free.length
  }

  /** Blocks that can be read. */
  get blocks(): number {
    return this.#probation.length + this.#protected.length
  }

  /** Bytes of these blocks. */
  get usedBytes(): number {
    return this.#usedBytes
  }

  /** Blocks that were fetched ahead of a reader and that nobody asked for yet. */
  get unreadAhead(): number {
    return this.#unreadAhead
  }

  /** Adds slots behind those there are: taken, so that what is in them can be filled in. */
  add(count: number): void {
    const before = this.#count
    this.#count += count
    if (this.#count > this.#states.length) this.#resize(Math.max(this.#count, this.#states.length * 2))
    for (let slot = before; slot < this.#count; slot++) {
      this.#owners.push(null)
      this.#states[slot] = TAKEN
    }
  }

  #resize(length: number): void {
    this.#blocks = grown(this.#blocks, new Uint32Array(length))
    this.#sizes = grown(this.#sizes, new Uint32Array(length))
    this.#checksums = grown(this.#checksums, new Uint32Array(length * this.#chunks))
    this.#states = grown(this.#states, new Uint8Array(length))
    this.#uses = grown(this.#uses, new Uint8Array(length))
    this.#readers = grown(this.#readers, new Uint32Array(length))
    this.#usedMs = grown(this.#usedMs, new Float64Array(length))
    this.#later = grown(this.#later, new Int32Array(length))
    this.#earlier = grown(this.#earlier, new Int32Array(length))
  }

  /** A slot to write to; -1 if all are being written or read. */
  take(): number {
    const free = this.#free.pop()
    if (free !== undefined) {
      this.#states[free] = TAKEN
      return free
    }
    while (this.#protected.length > this.#count * PROTECTED_PART) {
      const { oldest } = this.#protected
      this.#leave(oldest)
      this.#enter(oldest, PROBATION)
    }
    const slot = this.#oldestUnread(this.#probation) ?? this.#oldestUnread(this.#protected)
    if (slot === undefined) return NONE
    const owner = this.#owners[slot]!
    this.remove(slot)
    this.#evicted(owner)
    return slot
  }

  #oldestUnread(queue: Queue): number | undefined {
    let slot = queue.oldest
    for (let passed = 0; slot !== NONE && passed < PASSED_OVER; passed++) {
      if (this.#readers[slot] === 0) return slot
      slot = this.#later[slot]!
    }
    return undefined
  }

  /** A block is in a slot that was taken. */
  fill(
    slot: number,
    owner: Owner,
    entry: { block: number; sizeBytes: number; checksums: readonly number[] },
    { use, nowMs }: { use: FirstUse; nowMs: number },
  ): void {
    assert(
      this.#states[slot] === TAKEN && !owner.slots.has(entry.block),
      'a block is written once, where nothing else is',
    )
    owner.slots.set(entry.block, slot)
    this.#owners[slot] = owner
    this.#blocks[slot] = entry.block
    this.#sizes[slot] = entry.sizeBytes
    this.#checksums.set(entry.checksums, slot * this.#chunks)
    this.#uses[slot] = use === 'used' ? USED : use === 'ahead' ? AHEAD : UNUSED
    this.#usedMs[slot] = nowMs
    if (use === 'ahead') this.#unreadAhead++
    this.#usedBytes += entry.sizeBytes
    this.#enter(slot, PROBATION)
  }

  /** A block is asked for. `isNew`: by a reader that has not just read it. */
  use(slot: number, isNew: boolean, nowMs: number): void {
    const isFirst = this.#uses[slot] !== USED
    const isAgain = isNew && !isFirst && nowMs - this.#usedMs[slot]! >= TOGETHER_MS
    const state = isAgain ? PROTECTED : this.#states[slot]!
    if (isFirst || isAgain) this.#usedMs[slot] = nowMs
    this.#noteUse(slot)
    this.#leave(slot)
    this.#enter(slot, state)
  }

  #noteUse(slot: number): void {
    if (this.#uses[slot] === AHEAD) this.#unreadAhead--
    this.#uses[slot] = USED
  }

  /** A block is no longer in the cache; who reads it can go on. Its slot is taken: it is written again, or freed. */
  remove(slot: number): void {
    this.#noteUse(slot)
    this.#leave(slot)
    this.#usedBytes -= this.#sizes[slot]!
    this.#owners[slot]!.slots.delete(this.#blocks[slot]!)
    this.#owners[slot] = null
    this.#states[slot] = TAKEN
  }

  /** A slot that was taken can be taken again, once nobody reads it. */
  free(slot: number): void {
    assert(this.#states[slot] === TAKEN, 'what is freed is not in use')
    if (this.#readers[slot]! > 0) {
      this.#states[slot] = LEAVING
      return
    }
    this.#states[slot] = FREE
    this.#free.push(slot)
  }

  /** Somebody reads the slot: until `unpin` nothing is written to it. */
  pin(slot: number): void {
    this.#readers[slot]!++
  }

  unpin(slot: number): void {
    assert(this.#readers[slot]! > 0, 'who stops reading has begun')
    this.#readers[slot]!--
    if (this.#readers[slot] !== 0 || this.#states[slot] !== LEAVING) return
    this.#states[slot] = TAKEN
    this.free(slot)
  }

  sizeBytes(slot: number): number {
    return this.#sizes[slot]!
  }

  checksum(slot: number, chunk: number): number {
    return this.#checksums[slot * this.#chunks + chunk]!
  }

  #enter(slot: number, state: number): void {
    const queue = state === PROTECTED ? this.#protected : this.#probation
    this.#states[slot] = state
    this.#earlier[slot] = queue.newest
    this.#later[slot] = NONE
    if (queue.newest === NONE) queue.oldest = slot
    else this.#later[queue.newest] = slot
    queue.newest = slot
    queue.length++
  }

  #leave(slot: number): void {
    const state = this.#states[slot]
    assert(state === PROBATION || state === PROTECTED, 'a block in the cache is in one of the queues')
    const queue = state === PROTECTED ? this.#protected : this.#probation
    const earlier = this.#earlier[slot]!
    const later = this.#later[slot]!
    if (earlier === NONE) queue.oldest = later
    else this.#later[earlier] = later
    if (later === NONE) queue.newest = earlier
    else this.#earlier[later] = earlier
    queue.length--
  }
}

interface Queue {
  newest: number
  oldest: number
  length: number
}

function grown<Column extends { set(from: Column): void }>(old: Column, larger: Column): Column {
  larger.set(old)
  return larger
}
