import type { Clock } from '#base/ports.ts'
import { isHeld } from '#core/garbage.ts'
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
import { type AgedCheckpoint, inOrder, keptCheckpoints, neededFrom } from './pruning.ts'

// What of the archive is in the store: listed once, then kept up by who writes it, so that what is not needed any more is found
// without asking again. How old something is goes by the clock of the store.

/** Old objects are looked for not more often than this, if there is a window; a new checkpoint alone changes little then. */
const LOOK_MS = 600_000

export class Catalogue {
  readonly #store: ObjectStore
  readonly #clock: Clock
  readonly #windowMs: number
  readonly #generation: number
  readonly #state: State
  #checkpoints: AgedCheckpoint[] = []
  #pieces: MetalogName[] = []
  #isListed = false
  #lookedMs = Number.NEGATIVE_INFINITY

  constructor(options: { store: ObjectStore; clock: Clock; windowMs: number; generation: number; state: State }) {
    this.#store = options.store
    this.#clock = options.clock
    this.#windowMs = options.windowMs
    this.#generation = options.generation
    this.#state = options.state
  }

  addedPiece(piece: MetalogName): void {
    if (this.#isListed) this.#pieces.push(piece)
  }

  /** Removes what the checkpoint makes superfluous. */
  async addedCheckpoint(name: { generation: number; position: number }, signal: AbortSignal): Promise<void> {
    const key = checkpointKey(name)
    const nowMs = (await this.#store.head(key, signal))?.modifiedMs
    if (nowMs === undefined) return
    if (this.#isListed) this.#checkpoints.push({ ...name, writtenMs: nowMs })
    else await this.#list(signal)
    if (this.#windowMs > 0 && this.#clock.monotonicMs() - this.#lookedMs < LOOK_MS) {
      await this.#thin(nowMs, signal)
      return
    }
    this.#lookedMs = this.#clock.monotonicMs()
    await this.#thin(nowMs, signal)
    await this.#removePieces(signal)
    await this.#removeTails(nowMs, signal)
  }

  async #list(signal: AbortSignal): Promise<void> {
    const checkpoints: AgedCheckpoint[] = []
    for await (const { key, modifiedMs } of this.#store.list(CHECKPOINT_PREFIX, '', signal)) {
      const name = parseCheckpointKey(key)
      if (name !== null) checkpoints.push({ ...name, writtenMs: modifiedMs })
    }
    const pieces: MetalogName[] = []
    for await (const { key } of this.#store.list(METALOG_PREFIX, '', signal)) {
      const name = parseMetalogKey(key)
      if (name !== null) pieces.push(name)
    }
    this.#checkpoints = inOrder(checkpoints)
    this.#pieces = pieces
    this.#isListed = true
  }

  async #thin(nowMs: number, signal: AbortSignal): Promise<void> {
    const kept = keptCheckpoints(this.#checkpoints, this.#pieces, { nowMs, windowMs: this.#windowMs })
    for (const checkpoint of this.#checkpoints.filter(one => !kept.has(one))) {
      await this.#store.delete(checkpointKey(checkpoint), signal)
      this.#checkpoints.splice(this.#checkpoints.indexOf(checkpoint), 1)
    }
  }

  async #removePieces(signal: AbortSignal): Promise<void> {
    const from = neededFrom(this.#checkpoints)
    const needed: MetalogName[] = []
    for (const piece of this.#pieces) {
      if (piece.to > (from.get(piece.generation) ?? Number.POSITIVE_INFINITY)) needed.push(piece)
      else await this.#store.delete(metalogKey(piece), signal)
    }
    this.#pieces = needed
  }

  /** Record tails of earlier owners that did not become segments; those of this one are its own business. */
  async #removeTails(nowMs: number, signal: AbortSignal): Promise<void> {
    // However old they are, the last moment of an earlier owner wants them, until that is out of reach.
    const begun = await this.#store.head(generationKey(this.#generation), signal)
    if (begun === null || nowMs - begun.modifiedMs < this.#windowMs) return
    const kept = new Set<string>()
    for (const garbage of this.#state.garbage.values()) {
      for (let i = 0; i < garbage.segments.length; i++) kept.add(keyOfGarbage(garbage, garbage.segments.at(i)))
    }
    for await (const { key } of this.#store.list(TAIL_PREFIX, '', signal)) {
      const name = parseSegmentKey(key)
      if (name === null || name.generation >= this.#generation) continue
      if (!kept.has(key) && !isHeld(this.#state, name)) await this.#store.delete(key, signal)
    }
  }
}
