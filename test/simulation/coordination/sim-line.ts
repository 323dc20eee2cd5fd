import type { ApiName, RequestBody, ResponseBody } from '#test/support/wire-messages.ts'
import { Gone, Over } from './agreements.ts'
import type { Machine } from './machine.ts'
import type { SimSocket } from './sim-socket.ts'

// A client's way to the broker. A request takes its time; it may come twice, the second time much later, over another connection
// and behind what was sent after it; its client may lose patience and ask again while it is still on its way.

const LATE_MS = 500
const MOST_WAY_MS = 4
const MOST_PATIENCE_MS = 30
const HASTE = 0.3
const RETRY_MS = 5

/** 'in order': neither late nor behind anything else; 'once': not twice either, unless there was no answer. */
export type Manner = 'free' | 'in order' | 'once'

export class SimLine {
  readonly machine: Machine
  readonly #name: string
  #socket: SimSocket | null = null
  #gate: PromiseWithResolvers<void> | null = null

  constructor(machine: Machine, name: string) {
    this.machine = machine
    this.#name = name
  }

  /** Its client does nothing until it is resumed, between any two requests. */
  pause(): void {
    this.#gate ??= Promise.withResolvers()
  }

  resume(): void {
    this.#gate?.resolve()
    this.#gate = null
  }

  /** Until there is an answer. `track` is called whenever the request arrives, and what it returns when it is answered. */
  async ask<N extends ApiName>(
    api: N,
    version: number,
    body: RequestBody<N>,
    { manner = 'free', track = () => () => {}, isGivenUp = false, isHasty = false }: Asking<N> = {},
  ): Promise<ResponseBody<N>> {
    const { prng } = this.machine
    const deliver = async (socket: SimSocket): Promise<ResponseBody<N>> => {
      this.machine.note(`${this.#name} asks ${api} ${summary(body)}`)
      const seen = track()
      const answer: ResponseBody<N> = await socket.send(api, version, body)
      this.machine.note(`${this.#name} ${api} ${summary(answer)}`)
      this.machine.guard(() => seen(answer))
      return answer
    }
    for (;;) {
      await this.#gate?.promise
      await this.machine.sleep(prng.fraction() * MOST_WAY_MS)
      this.#socket ??= await this.machine.connect()
      try {
        if (isHasty && prng.chance(HASTE)) this.#deliverLate(deliver, MOST_PATIENCE_MS)
        const answer = await this.#send(this.#socket, deliver, manner)
        await this.machine.sleep(prng.fraction() * MOST_WAY_MS)
        return answer
      } catch (thrown) {
        if (!(thrown instanceof Gone)) throw thrown
        this.#socket = null
        if (isGivenUp) throw thrown
        await this.machine.sleep(RETRY_MS)
      }
    }
  }

  async #send<A>(socket: SimSocket, deliver: (socket: SimSocket) => Promise<A>, manner: Manner): Promise<A> {
    const { prng } = this.machine
    const what = prng.fraction()
    if (manner !== 'free') {
      if (what > 0.05 || manner === 'once') return deliver(socket)
      // One behind the other: it is asked for what it has already been told.
      return prng.pick(await Promise.all([deliver(socket), deliver(socket)]))
    }
    if (what < 0.05) {
      // It takes so long that its client asks again: it may come behind the second one, and behind what follows that.
      this.#deliverLate(deliver)
      await this.machine.sleep(prng.fraction() * MOST_PATIENCE_MS)
      throw new Gone()
    }
    if (what < 0.1) this.#deliverLate(deliver)
    return deliver(socket)
  }

  #deliverLate(deliver: (socket: SimSocket) => Promise<unknown>, atMostMs = LATE_MS): void {
    const { life } = this.machine
    this.machine.after(this.machine.prng.fraction() * atMostMs, () => {
      const late = async (): Promise<void> => {
        // What is on its way to a broker that dies is lost with its connection.
        if (!this.machine.isUp || this.machine.life !== life) return
        const socket = await this.machine.connect()
        await deliver(socket)
        socket.lost()
      }
      late().catch((thrown: unknown) => {
        if (!(thrown instanceof Gone) && !(thrown instanceof Over)) this.machine.violation ??= thrown
      })
    })
  }
}

export interface Asking<N extends ApiName> {
  readonly manner?: Manner
  /** If there is no answer, it is not asked for again: throws Gone. */
  readonly isGivenUp?: boolean
  /** It often comes twice within a short time: while the first one waits for its answer. */
  readonly isHasty?: boolean
  readonly track?: () => (answer: ResponseBody<N>) => void
}

function summary(answer: unknown): string {
  return JSON.stringify(answer, (key, value) => (key === 'records' ? undefined : value)).slice(0, 200)
}
