import type { Clock, Timer } from '#base/ports.ts'
import { ByteWriter } from '#bytes/cursor.ts'
import type { FramePool } from './frame-pool.ts'

/** A connection as the others know it. */
export interface HubConnection {
  /** Something that was produced on it is not committed. */
  readonly waitsForCommit: boolean
  flush(): void
  close(reason: string): void
  drain(): void
  destroy(): void
  isStalled(nowMs: number): boolean
  idleMs(nowMs: number): number
}

/** A large request gets this long, whatever its pace, before it makes room for others that wait. */
export const STALL_MS = 30_000
/** How often idle connections are looked for. */
const IDLE_CHECK_MS = 60_000

/** All connections; those that have something to send are flushed together, once per turn. */
export class ConnectionHub {
  /** Where a connection that is flushed writes its answers; they go out in one write. */
  readonly answers = new ByteWriter()
  readonly #open = new Set<HubConnection>()
  readonly #waitingForCommit = new Set<HubConnection>()
  #touched: HubConnection[] = []
  #settling = false
  #allClosed: (() => void) | null = null
  #stallCheck: Timer | null = null

  get size(): number {
    return this.#open.size
  }

  opened(connection: HubConnection): void {
    this.#open.add(connection)
  }

  closed(connection: HubConnection): void {
    this.#open.delete(connection)
    this.#waitingForCommit.delete(connection)
    if (this.#open.size === 0) this.#allClosed?.()
  }

  touched(connection: HubConnection): void {
    this.#touched.push(connection)
  }

  /** It goes on when some of what all of them have staged is committed. */
  waitsForCommit(connection: HubConnection): void {
    this.#waitingForCommit.add(connection)
  }

  /** Flushes what was touched. A flush can let requests begin that touch again. */
  settle(): void {
    if (this.#settling) return
    this.#settling = true
    if (this.#waitingForCommit.size > 0) {
      this.#touched.push(...this.#waitingForCommit)
      this.#waitingForCommit.clear()
    }
    while (this.#touched.length > 0) {
      const touched = this.#touched
      this.#touched = []
      for (const connection of touched) connection.flush()
    }
    this.#settling = false
  }

  /** Somebody waits for room: who has begun a large request and brings it too slowly loses its place. */
  frameWaits(clock: Clock, frames: FramePool): void {
    if (this.#stallCheck !== null) return
    this.#stallCheck = clock.after(STALL_MS, () => {
      this.#stallCheck = null
      const nowMs = clock.monotonicMs()
      for (const connection of this.#open) {
        if (connection.isStalled(nowMs)) connection.close('a request came too slowly while others waited for its room')
      }
      this.settle()
      if (frames.hasWaiters) this.frameWaits(clock, frames)
    })
  }

  /** Closes connections that are idle for too long, until the end that is returned. */
  watchIdle(clock: Clock, maxIdleMs: number): () => void {
    let timer: Timer | null = null
    const check = (): void => {
      const nowMs = clock.monotonicMs()
      for (const connection of this.#open) {
        if (connection.idleMs(nowMs) > maxIdleMs) connection.drain()
      }
      this.settle()
      timer = clock.after(Math.min(IDLE_CHECK_MS, maxIdleMs), check)
    }
    timer = clock.after(Math.min(IDLE_CHECK_MS, maxIdleMs), check)
    return () => timer?.cancel()
  }

  /** What was staged gets no answer: nobody knows whether it is durable. So its producers are cut off, to find out later. */
  logFailed(): void {
    this.settle()
    for (const connection of this.#open) if (connection.waitsForCommit) connection.destroy()
  }

  /** Nothing new is begun; what is under way is answered, or cut off at the deadline. */
  async close(clock: Clock, deadlineMs: number): Promise<void> {
    for (const connection of this.#open) connection.drain()
    this.settle()
    if (this.#open.size === 0) return
    await new Promise<void>(resolve => {
      this.#allClosed = resolve
      clock.after(deadlineMs, () => {
        for (const connection of this.#open) connection.destroy()
      })
    })
  }
}
