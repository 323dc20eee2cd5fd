// One client's connection to a broker that is killed again and again: what was not answered is asked again, as it was, until it
// is. The client can be paused between any two of its requests, and go on much later.

import type { Prng } from '#test/support/sim/prng.ts'
import { ConnectionClosed, WireClient } from '#test/support/wire-client.ts'
import type { ApiName, RequestBody, ResponseBody } from '#test/support/wire-messages.ts'

/** Whoever used the line is to end. */
export class Stopped extends Error {
  override readonly name = 'Stopped'
}

/** A request is sent twice so often, as by a client that was too impatient to wait for the first answer. */
const TWICE = 0.05
const RETRY_MS = 10

export class Line {
  readonly #address: { host: string; port: number }
  readonly #prng: Prng
  #client: WireClient | null = null
  #lossCount = 0
  #gate: PromiseWithResolvers<void> | null = null
  #isStopped = false

  constructor(address: { host: string; port: number }, prng: Prng) {
    this.#address = address
    this.#prng = prng
  }

  get isStopped(): boolean {
    return this.#isStopped
  }

  /** How often the broker was gone. */
  get lossCount(): number {
    return this.#lossCount
  }

  pause(): void {
    this.#gate ??= Promise.withResolvers()
  }

  resume(): void {
    this.#gate?.resolve()
    this.#gate = null
  }

  /** The next request throws Stopped. */
  stop(): void {
    this.#isStopped = true
    this.#client?.close()
    this.resume()
  }

  /** Asks until there is an answer, at times twice: what asks again for the same must change nothing. */
  ask<N extends ApiName>(api: N, version: number, body: RequestBody<N>): Promise<ResponseBody<N>> {
    return this.#ask(api, version, body, this.#prng.chance(TWICE))
  }

  /** The same for what would be another thing if it were asked twice. */
  askOnce<N extends ApiName>(api: N, version: number, body: RequestBody<N>): Promise<ResponseBody<N>> {
    return this.#ask(api, version, body, false)
  }

  async #ask<N extends ApiName>(
    api: N,
    version: number,
    body: RequestBody<N>,
    isTwice: boolean,
  ): Promise<ResponseBody<N>> {
    for (;;) {
      await this.#gate?.promise
      if (this.#isStopped) throw new Stopped()
      try {
        this.#client ??= await WireClient.connect(this.#address)
        if (!isTwice) return await this.#client.send(api, version, body)
        const answers = await Promise.all([
          this.#client.send(api, version, body),
          this.#client.send(api, version, body),
        ])
        return this.#prng.pick(answers)
      } catch (thrown) {
        if (!(thrown instanceof ConnectionClosed) && !isRefused(thrown)) throw thrown
        this.#client?.close()
        this.#client = null
        this.#lossCount++
        await sleep(RETRY_MS)
      }
    }
  }
}

function isRefused(thrown: unknown): boolean {
  return ['ECONNREFUSED', 'ECONNRESET'].includes((thrown as NodeJS.ErrnoException).code ?? '')
}

export function sleep(forMs: number): Promise<void> {
  return new Promise(resolve => setTimeout(resolve, forMs))
}
