import type { Clock } from '#base/ports.ts'
import { Walk } from '#base/walk.ts'
import { isHeld } from '#core/garbage.ts'
import { TAIL_REVISION } from '#core/segments.ts'
import type { State } from '#core/state.ts'
import type { ObjectStore } from '#object-store/object-store.ts'
import { keyOfGarbage, parseSegmentKey, TAIL_PREFIX } from '#segments/segment-names.ts'
import {
  CHECKPOINT_PREFIX,
  checkpointKey,
  generationKey,
  METALOG_PREFIX,
  type MetalogName,
  metalogKey,
  parseCheckpointKey,
  parseMetalogKey,
} from './archive-names.ts'
import { DELETES_AT_ONCE, mapAtOnce } from './map-at-once.ts'
import { type AgedCheckpoint, inOrder, keptCheckpoints, neededFrom } from './pruning.ts'

// What of the archive is in the store: listed once, then kept up by who writes it, so that what is not needed any more is found
// without asking again. How old something is goes by the clock of the store.

/** Old objects are looked for not more often than this, if there is a window; a new checkpoint alone changes little then. */
const LOOK_MS = 600_000

type Undated = Omit<AgedCheckpoint, 'writtenMs'>

export interface CatalogueOptions {
  readonly store: ObjectStore
  readonly clock: Clock
  /** So long it can be gone back to what was. */
  readonly windowMs: number
  readonly generation: number
  readonly state: State
  /** Rejects if somebody else owns the store by now. */
  confirm(): Promise<void>
}

export class Catalogue {
  readonly #store: ObjectStore
  readonly #clock: Clock
  readonly #windowMs: number
  readonly #generation: number
  readonly #state: State
  readonly #confirm: () => Promise<void>
  #checkpoints: AgedCheckpoint[] = []
  #pieces = new Set<MetalogName>()
  /** Written since, but nobody knows when. */
  readonly #undated: Undated[] = []
  #isListed = false
  #lookedMs = Number.NEGATIVE_INFINITY

  constructor(options: CatalogueOptions) {
    this.#store = options.store
    this.#clock = options.clock
    this.#windowMs = options.windowMs
    this.#generation = options.generation
    this.#state = options.state
    this.#confirm = () => options.confirm()
  }

  addedPiece(piece: MetalogName): void {
    this.#pieces.add(piece)
  }

  addedCheckpoint(name: Undated): void {
    this.#undated.push(name)
  }

  /** Deletes what the checkpoints that were added make superfluous. */
  async prune(signal: AbortSignal): Promise<void> {
    if (!this.#isListed) await this.#list(signal)
    const nowMs = await this.#date(signal)
    if (nowMs === null) return
    await this.#confirm()
    // Pieces go behind the checkpoints that need them.
    await this.#thin(nowMs, signal)
    if (this.#windowMs > 0 && this.#clock.monotonicMs() - this.#lookedMs < LOOK_MS) return
    this.#lookedMs = this.#clock.monotonicMs()
    await this.#removePieces(signal)
    await this.#removeTails(nowMs, signal)
  }

  async #list(signal: AbortSignal): Promise<void> {
    const checkpoints = new Map<string, AgedCheckpoint>()
    for await (const { key, modifiedMs } of this.#store.list(CHECKPOINT_PREFIX, '', signal)) {
      const name = parseCheckpointKey(key)
      if (name !== null) checkpoints.set(key, { ...name, writtenMs: modifiedMs, beginsChain: true })
    }
    // What is added from here on may be listed, too: to delete it twice does no harm.
    this.#pieces = new Set()
    for await (const { key } of this.#store.list(METALOG_PREFIX, '', signal)) {
      const piece = parseMetalogKey(key)
      if (piece === null) continue
      this.#pieces.add(piece)
      const at = checkpointKey({ generation: piece.generation, position: piece.to })
      const reached = checkpoints.get(at)
      if (reached !== undefined) checkpoints.set(at, { ...reached, beginsChain: false })
    }
    this.#checkpoints = inOrder([...checkpoints.values()])
    this.#isListed = true
  }

  /** When the checkpoints that were added were written; when the last one was: null if there is none. */
  async #date(signal: AbortSignal): Promise<number | null> {
    let lastMs: number | null = null
    for (let added = this.#undated[0]; added !== undefined; added = this.#undated[0]) {
      const facts = await this.#store.head(checkpointKey(added), signal)
      if (facts === null) return null
      lastMs = facts.modifiedMs
      this.#know({ ...added, writtenMs: lastMs })
      this.#undated.shift()
    }
    return lastMs
  }

  #know(checkpoint: AgedCheckpoint): void {
    const key = checkpointKey(checkpoint)
    const known = this.#checkpoints.find(one => checkpointKey(one) === key)
    const beginsChain = checkpoint.beginsChain || known?.beginsChain === true
    this.#checkpoints = inOrder([...this.#checkpoints.filter(one => one !== known), { ...checkpoint, beginsChain }])
  }

  async #thin(nowMs: number, signal: AbortSignal): Promise<void> {
    const kept = keptCheckpoints(this.#checkpoints, { nowMs, windowMs: this.#windowMs })
    const superfluous = this.#checkpoints.filter(one => !kept.has(one))
    await mapAtOnce(superfluous, DELETES_AT_ONCE, async checkpoint => {
      await this.#store.delete(checkpointKey(checkpoint), signal)
      this.#checkpoints.splice(this.#checkpoints.indexOf(checkpoint), 1)
    })
  }

  async #removePieces(signal: AbortSignal): Promise<void> {
    const from = neededFrom(this.#checkpoints)
    const superfluous: MetalogName[] = []
    for (const piece of this.#pieces) {
      if (piece.to <= (from.get(piece.generation) ?? Number.POSITIVE_INFINITY)) superfluous.push(piece)
    }
    await mapAtOnce(superfluous, DELETES_AT_ONCE, async piece => {
      await this.#store.delete(metalogKey(piece), signal)
      this.#pieces.delete(piece)
    })
  }

  /** Record tails of earlier owners that did not become segments; those of this one are its own business. */
  async #removeTails(nowMs: number, signal: AbortSignal): Promise<void> {
    // However old they are, the last moment of an earlier owner wants them, until that is out of reach.
    const begun = await this.#store.head(generationKey(this.#generation), signal)
    if (begun === null || nowMs - begun.modifiedMs < this.#windowMs) return
    const unheld: string[] = []
    for await (const { key } of this.#store.list(TAIL_PREFIX, '', signal)) {
      const name = parseSegmentKey(key)
      if (name !== null && name.generation < this.#generation && !isHeld(this.#state, name)) unheld.push(key)
    }
    if (unheld.length === 0) return
    // Only now: what was held a moment ago may have become garbage meanwhile.
    const garbage = await this.#garbageTails()
    const superfluous = unheld.filter(key => !garbage.has(key))
    await mapAtOnce(superfluous, DELETES_AT_ONCE, key => this.#store.delete(key, signal))
  }

  /** They go when the collector says so. */
  async #garbageTails(): Promise<Set<string>> {
    const walk = new Walk(this.#clock)
    const keys = new Set<string>()
    for (const garbage of this.#state.garbage.values()) {
      for (let i = 0; i < garbage.segments.length; i++) {
        const segment = garbage.segments.at(i)
        if (segment.revision === TAIL_REVISION) keys.add(keyOfGarbage(garbage, segment))
        if (walk.stepped()) await walk.rest()
      }
    }
    return keys
  }
}
