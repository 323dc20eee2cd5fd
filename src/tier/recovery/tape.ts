import { assert } from '#base/assert.ts'
import { ByteReader, ByteWriter } from '#bytes/cursor.ts'
import { typeOfChange } from '#core/change-records.ts'
import { groupsSizeBytes, writeGroup } from './archive-format.ts'

// What was committed and is not in the store yet: the records of each group, without their payload. What does not fit any more
// is given up, all of it: the state is the same without it, and a checkpoint begins the chain anew.

/** A piece of the log, on its way to the store. */
export interface TapePiece {
  readonly from: number
  readonly to: number
  /** Groups, as they are archived. */
  readonly content: Buffer
}

export class Tape {
  readonly #limitBytes: number
  #gathered = new ByteWriter()
  #from = 0
  #end = 0
  #isBroken = true
  #recordCount = 0
  #freedTo = -1
  #watcher: { wake(): void } | null = null

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes
  }

  /** Goes on behind what is archived, or with a checkpoint that is to be made where the log stands. */
  begin(position: number, isArchived: boolean): void {
    this.#gathered.offset = 0
    this.#from = position
    this.#end = position
    this.#isBroken = !isArchived
  }

  /** Whom it wakes when there is something new. */
  watch(watcher: { wake(): void }): void {
    this.#watcher = watcher
  }

  /** Behind the last group. */
  get endPosition(): number {
    return this.#end
  }

  get sizeBytes(): number {
    return this.#gathered.offset
  }

  /** Records so far. */
  get recordCount(): number {
    return this.#recordCount
  }

  /** Behind the last group that took records out of the write-ahead log. */
  get freedTo(): number {
    return this.#freedTo
  }

  /** The chain has an end that nothing can be added to. */
  get isBroken(): boolean {
    return this.#isBroken
  }

  get isEmpty(): boolean {
    return this.#from === this.#end && !this.#isBroken
  }

  add(position: number, endPosition: number, records: Buffer): void {
    assert(position >= this.#end && endPosition > position, 'groups come in the order of the log')
    this.#end = endPosition
    this.#look(records)
    if (!this.#isBroken) {
      const fits = this.#gathered.offset + groupsSizeBytes(records.length) <= this.#limitBytes
      if (fits) writeGroup(this.#gathered, { position, endPosition, records })
      else this.giveUp()
    }
    this.#watcher?.wake()
  }

  #look(records: Buffer): void {
    const section = new ByteReader(records)
    while (section.remaining > 0) {
      const type = section.u8()
      section.take(VERSION_BYTES)
      section.take(section.u32())
      this.#recordCount++
      if (FREEING.has(type)) this.#freedTo = this.#end
    }
  }

  giveUp(): void {
    this.#isBroken = true
    this.#gathered = new ByteWriter()
  }

  /** Takes what there is off the tape. */
  cut(): TapePiece {
    assert(!this.#isBroken, 'what is cut goes on the chain')
    const piece = { from: this.#from, to: this.#end, content: this.#gathered.written() }
    this.#gathered = new ByteWriter()
    this.#from = this.#end
    return piece
  }

  /** A checkpoint has everything up to the end. */
  mend(): void {
    this.begin(this.#end, true)
  }
}

const VERSION_BYTES = 1
const FREEING: ReadonlySet<number> = new Set([typeOfChange('segments-committed'), typeOfChange('log-start-moved')])
