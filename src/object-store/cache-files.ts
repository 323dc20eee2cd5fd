import { assert } from '#base/assert.ts'
import { ChronikError } from '#base/errors.ts'
import type { Disk, DiskFile } from '#base/ports.ts'
import {
  type BlockShape,
  decodeEntry,
  decodeSlabHeader,
  ENTRY_BYTES,
  encodeEntry,
  encodeSlabHeader,
  entryAt,
  placeAsKept,
  SLAB_HEADER_BYTES,
  type SlotEntry,
  slabBytes,
  slotsAt,
  slotsWithin,
} from './cache-slab.ts'

// The slabs of the cache on the disk. They are made one after the other, filled with zeros, so that the room for what is written
// later is there (docs/decisions/disk-cache.md), and stay: what is in a slot is written over. Slots are numbered through all
// slabs. Only one call that writes is under way at a time.

/** Files that are open: with a larger cache they are larger. */
const MOST_SLABS = 512
/** Of the file system, what is left for others: so many bytes, or this part of it if it is small. */
const LEFT_FREE_BYTES = 2 ** 31
const LEFT_FREE_PART = 1 / 20
const NAME = /^\d{6}\.slab$/

export interface CacheFilesOptions extends BlockShape {
  readonly disk: Disk
  readonly directory: string
  /** Of all slabs together. */
  readonly limitBytes: number
  /** Of a slab at least, unless the limit leaves no room for that. */
  readonly slabSlots: number
  /** Where the blocks come from: those of another place are of no use. */
  readonly place: string
}

interface Slab {
  readonly number: number
  readonly firstSlot: number
  readonly slots: number
  readonly file: DiskFile
}

/** A slot that was found with a block in it. */
export interface FoundBlock extends SlotEntry {
  readonly slot: number
}

export class CacheFiles {
  readonly #options: CacheFilesOptions
  readonly #slabSlots: number
  readonly #place: string
  readonly #slabs: Slab[] = []
  #sizeBytes = 0
  #slots = 0

  constructor(options: CacheFilesOptions) {
    this.#options = options
    this.#place = placeAsKept(options.place)
    const leastSlots = slotsWithin(Math.ceil(options.limitBytes / MOST_SLABS), options.blockBytes)
    this.#slabSlots = Math.max(options.slabSlots, leastSlots)
  }

  /** Slots of all slabs. */
  get slots(): number {
    return this.#slots
  }

  /** Bytes of all slabs. */
  get sizeBytes(): number {
    return this.#sizeBytes
  }

  /** Slots there will be when the limit is reached. */
  get slotsAtLimit(): number {
    const { limitBytes, blockBytes } = this.#options
    return this.#slots + slotsWithin(limitBytes - this.#sizeBytes, blockBytes)
  }

  get isFull(): boolean {
    return this.#nextSlots() === 0
  }

  #nextSlots(): number {
    const { limitBytes, blockBytes } = this.#options
    return Math.min(this.#slabSlots, slotsWithin(limitBytes - this.#sizeBytes, blockBytes))
  }

  /**
   * Opens the slabs that are there, as many as the limit allows, and tells the blocks in each: `slots` is how many slots there are
   * now. What is no slab of this cache, or is damaged, is removed.
   */
  async *load(): AsyncGenerator<{ slots: number; blocks: FoundBlock[] }> {
    const { disk, directory } = this.#options
    await disk.makeDirectory(directory)
    const names = (await disk.list(directory)).filter(name => NAME.test(name))
    for (const name of names) {
      const slab = await this.#open(Number(name.slice(0, 6)))
      if (slab === null) await disk.remove(`${directory}/${name}`)
      else yield { slots: this.#slots, blocks: await this.#blocksOf(slab) }
    }
  }

  #pathOf(number: number): string {
    return `${this.#options.directory}/${String(number).padStart(6, '0')}.slab`
  }

  /** Null if it is of no use. */
  async #open(number: number): Promise<Slab | null> {
    const { disk, limitBytes, blockBytes } = this.#options
    let file: DiskFile
    try {
      file = await disk.open(this.#pathOf(number), 'write')
    } catch {
      return null // and whatever the reason, nobody misses it
    }
    try {
      const slots = await this.#slotsOf(file)
      if (slots > 0 && this.#sizeBytes + slabBytes(slots, blockBytes) <= limitBytes) {
        return this.#add({ number, firstSlot: this.#slots, slots, file })
      }
    } catch {
      // As above.
    }
    await file.close()
    return null
  }

  /** 0 if it is none of this cache. */
  async #slotsOf(file: DiskFile): Promise<number> {
    const { blockBytes, chunkBytes } = this.#options
    const bytes = Buffer.alloc(SLAB_HEADER_BYTES)
    const read = await file.read(bytes, 0, bytes.length, 0)
    const header = decodeSlabHeader(bytes.subarray(0, read))
    if (header === null || header.place !== this.#place) return 0
    if (header.blockBytes !== blockBytes || header.chunkBytes !== chunkBytes) return 0
    return (await file.sizeBytes()) === slabBytes(header.slots, blockBytes) ? header.slots : 0
  }

  #add(slab: Slab): Slab {
    this.#slabs.push(slab)
    this.#slots += slab.slots
    this.#sizeBytes += slabBytes(slab.slots, this.#options.blockBytes)
    return slab
  }

  async #blocksOf({ file, slots, firstSlot }: Slab): Promise<FoundBlock[]> {
    const bytes = Buffer.alloc(slots * ENTRY_BYTES)
    const read = await file.read(bytes, 0, bytes.length, SLAB_HEADER_BYTES).catch(() => 0)
    const blocks: FoundBlock[] = []
    for (let slot = 0; (slot + 1) * ENTRY_BYTES <= read; slot++) {
      const entry = decodeEntry(bytes, slot, this.#options)
      if (entry !== null) blocks.push({ ...entry, slot: firstSlot + slot })
    }
    return blocks
  }

  /** Makes another slab, if there is room below the limit and on the disk. */
  async grow(): Promise<void> {
    const { disk, directory, blockBytes, chunkBytes } = this.#options
    const slots = this.#nextSlots()
    assert(slots > 0, 'a cache grows up to its limit')
    const sizeBytes = slabBytes(slots, blockBytes)
    await this.#checkSpace(sizeBytes)
    const number = (this.#slabs.at(-1)?.number ?? 0) + 1
    const path = this.#pathOf(number)
    await disk.remove(path)
    await disk.createFilled(path, sizeBytes)
    let file: DiskFile | null = null
    try {
      file = await disk.open(path, 'write')
      const header = encodeSlabHeader({ slots, blockBytes, chunkBytes, place: this.#place })
      await file.write(header, 0, header.length, 0)
      await file.sync()
      await disk.syncDirectory(directory)
    } catch (thrown) {
      await file?.close()
      await disk.remove(path)
      throw thrown
    }
    this.#add({ number, firstSlot: this.#slots, slots, file })
  }

  async #checkSpace(neededBytes: number): Promise<void> {
    const { disk, directory } = this.#options
    const { totalBytes, freeBytes } = await disk.space(directory)
    const leftBytes = Math.min(LEFT_FREE_BYTES, totalBytes * LEFT_FREE_PART)
    if (freeBytes - neededBytes >= leftBytes) return
    const message = `a file of the cache has ${neededBytes} bytes, and ${directory} has ${freeBytes} free, of which some are left`
    throw new ChronikError('CACHE_DISK_FULL', 'retry', message)
  }

  /** Reads from a slot; false if not all of it is there. */
  async read(slot: number, from: number, into: Uint8Array): Promise<boolean> {
    const { file, place } = this.#find(slot)
    return (await file.read(into, 0, into.length, place + from)) === into.length
  }

  /** First the block, so that no entry ever says of other bytes that they are the block. */
  async write(slot: number, entry: SlotEntry, bytes: Uint8Array): Promise<void> {
    const { file, place, slotInSlab } = this.#find(slot)
    await file.write(bytes, 0, bytes.length, place)
    const encoded = encodeEntry(slotInSlab, entry)
    await file.write(encoded, 0, encoded.length, entryAt(slotInSlab))
  }

  /** Nothing is in the slot any more. */
  async clear(slot: number): Promise<void> {
    const { file, slotInSlab } = this.#find(slot)
    await file.write(new Uint8Array(ENTRY_BYTES), 0, ENTRY_BYTES, entryAt(slotInSlab))
  }

  #find(slot: number): { file: DiskFile; place: number; slotInSlab: number } {
    let low = 0
    let high = this.#slabs.length - 1
    while (low < high) {
      const middle = (low + high + 1) >> 1
      if (this.#slabs[middle]!.firstSlot <= slot) low = middle
      else high = middle - 1
    }
    const { file, slots, firstSlot } = this.#slabs[low]!
    const slotInSlab = slot - firstSlot
    return { file, slotInSlab, place: slotsAt(slots) + slotInSlab * this.#options.blockBytes }
  }

  async close(): Promise<void> {
    for (const { file } of this.#slabs.splice(0)) await file.close()
  }
}
