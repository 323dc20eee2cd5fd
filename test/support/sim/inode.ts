import type { Prng } from './prng.ts'

// The bytes of one file: as the processes see them, as they surely are on the disk, and the writes in between.

const SECTOR_BYTES = 512

type Change = { readonly kind: 'write'; at: number; bytes: Buffer } | { readonly kind: 'truncate'; sizeBytes: number }
/** `lost`: a sync of it failed, and no later sync will say so or mend it. */
type Pending = Change & { readonly number: number; lost: boolean }
export type WriteUnderWay = { readonly bytes: Buffer; readonly position: number }

/** Bytes that grow; what was never written is zero. */
class Bytes {
  buffer = Buffer.alloc(0)
  sizeBytes = 0

  static of(bytes: Uint8Array): Bytes {
    const made = new Bytes()
    made.buffer = Buffer.from(bytes)
    made.sizeBytes = bytes.length
    return made
  }

  apply(change: Change): void {
    if (change.kind === 'write') this.write(change.bytes, change.at)
    else this.resize(change.sizeBytes)
  }

  write(bytes: Uint8Array, at: number): void {
    this.resize(Math.max(this.sizeBytes, at + bytes.length))
    this.buffer.set(bytes, at)
  }

  resize(sizeBytes: number): void {
    if (sizeBytes > this.buffer.length) {
      const grown = Buffer.alloc(Math.max(sizeBytes, Math.min(this.buffer.length * 2, this.buffer.length + (1 << 20))))
      grown.set(this.buffer.subarray(0, this.sizeBytes))
      this.buffer = grown
    }
    if (sizeBytes < this.sizeBytes) this.buffer.fill(0, sizeBytes, this.sizeBytes)
    this.sizeBytes = sizeBytes
  }

  toBuffer(): Buffer {
    return Buffer.from(this.buffer.subarray(0, this.sizeBytes))
  }
}

export class Inode {
  modifiedMs = 0
  #seen = new Bytes()
  #durable = new Bytes()
  #pending: Pending[] = []
  readonly #underWay = new Set<WriteUnderWay>()
  #changes = 0

  static of(bytes: Uint8Array): Inode {
    const inode = new Inode()
    inode.#seen = Bytes.of(bytes)
    inode.#durable = Bytes.of(bytes)
    return inode
  }

  get sizeBytes(): number {
    return this.#seen.sizeBytes
  }

  /** How many changes there were: what a sync that begins now is for. */
  get now(): number {
    return this.#changes
  }

  bytes(): Buffer {
    return this.#seen.toBuffer()
  }

  read(into: Uint8Array, from: number, length: number, position: number): number {
    const count = Math.max(0, Math.min(length, this.#seen.sizeBytes - position))
    into.set(this.#seen.buffer.subarray(position, position + count), from)
    return count
  }

  /** A write that takes its time: if the process or the power goes meanwhile, any part of it may be there. */
  begin(bytes: Buffer, position: number): WriteUnderWay {
    const write = { bytes, position }
    this.#underWay.add(write)
    return write
  }

  end(write: WriteUnderWay): void {
    this.#underWay.delete(write)
  }

  write(bytes: Uint8Array, at: number): void {
    this.#change({ kind: 'write', at, bytes: Buffer.from(bytes) })
  }

  truncate(sizeBytes: number): void {
    this.#change({ kind: 'truncate', sizeBytes })
  }

  #change(change: Change): void {
    this.#seen.apply(change)
    this.#pending.push({ ...change, number: this.#changes++, lost: false })
  }

  /** The changes before `until` are durable. What was lost before and written again since can no longer come back. */
  sync(until: number): void {
    const synced = this.#pending.filter(change => change.number < until && !change.lost)
    for (const change of synced) this.#durable.apply(change)
    this.#pending = this.#pending.filter(
      change => !synced.includes(change) && !(change.lost && synced.some(later => overlaps(change, later))),
    )
  }

  /** A sync of the changes before `until` failed: the system has dropped them and thinks they are written. */
  loseUntil(until: number): void {
    for (const change of this.#pending) if (change.number < until) change.lost = true
  }

  copy(): Inode {
    return this.#successor(this.bytes())
  }

  /** The file goes on as it is seen; of what was being written, a part is there. */
  afterKill(prng: Prng): Inode {
    this.#settleUnderWay(prng)
    return this
  }

  /** What of the file is found when the power is back. */
  afterPowerLoss(prng: Prng): Inode {
    this.#settleUnderWay(prng)
    const found = Bytes.of(this.#durable.toBuffer())
    const mood = prng.pick(['none', 'all', 'some', 'some'] as const)
    for (const change of this.#pending) {
      if (mood === 'all' || (mood === 'some' && prng.chance(0.5))) applyInPart(found, change, mood === 'all', prng)
    }
    // The size of a file and its bytes reach the disk apart from each other.
    if (this.#seen.sizeBytes > found.sizeBytes && prng.chance(0.3)) found.resize(this.#seen.sizeBytes)
    return this.#successor(found.toBuffer())
  }

  #successor(bytes: Uint8Array): Inode {
    const inode = Inode.of(bytes)
    inode.modifiedMs = this.modifiedMs
    return inode
  }

  #settleUnderWay(prng: Prng): void {
    for (const { bytes, position } of this.#underWay) {
      const written = prng.between(0, bytes.length)
      if (written > 0) this.write(bytes.subarray(0, written), position)
    }
    this.#underWay.clear()
  }
}

function overlaps(one: Pending, later: Pending): boolean {
  if (one.number > later.number) return false
  if (one.kind === 'truncate' || later.kind === 'truncate') return true
  return one.at < later.at + later.bytes.length && later.at < one.at + one.bytes.length
}

function applyInPart(found: Bytes, change: Change, whole: boolean, prng: Prng): void {
  if (whole || change.kind === 'truncate') {
    found.apply(change)
    return
  }
  const { at, bytes } = change
  const manner = prng.pick(['whole', 'begin', 'end', 'sectors'] as const)
  const cut = prng.between(0, bytes.length)
  if (manner === 'whole') found.write(bytes, at)
  else if (manner === 'begin') found.write(bytes.subarray(0, cut), at)
  else if (manner === 'end') found.write(bytes.subarray(cut), at + cut)
  else {
    for (let from = 0; from < bytes.length; ) {
      const to = Math.min(bytes.length, from + SECTOR_BYTES - ((at + from) % SECTOR_BYTES))
      if (prng.chance(0.5)) found.write(bytes.subarray(from, to), at + from)
      from = to
    }
  }
}
