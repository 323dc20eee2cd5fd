import { ChronikError } from '#base/errors.ts'
import type { AppendTicket, Log } from '#log/log.ts'
import type { SentBatch } from '#test/simulation/batches.ts'
import type { BrokerProcess, Host } from './host.ts'
import type { Answer, RecoveryWorld } from './recovery-world.ts'

/** The machine is gone, or does not answer. */
export class NoAnswer extends Error {}

/** A connection of a client to one process. What it is answered counts, whether the client still listens or not. */
export class Line {
  readonly host: Host
  readonly #world: RecoveryWorld
  readonly #process: BrokerProcess

  constructor(world: RecoveryWorld, host: Host) {
    this.#world = world
    this.host = host
    this.#process = host.process!
  }

  /** To any machine that takes connections; null if there is none. */
  static open(world: RecoveryWorld): Line | null {
    const up = world.hosts.filter(host => host.isUp)
    return up.length === 0 ? null : new Line(world, world.prng.pick(up))
  }

  get isOpen(): boolean {
    return this.host.process === this.#process && this.host.isUp
  }

  /** It may stand still for the moment. */
  get isBusy(): boolean {
    return this.#process.clock.isPaused
  }

  get log(): Log {
    return this.#process.log!
  }

  /** False if the broker would not take it. */
  send(sent: SentBatch, place: { topicId: string; index: number }, listener: Listener): boolean {
    const { log } = this
    const partition = log.state.topicsById.get(place.topicId)?.partitions[place.index]
    if (partition === undefined || log.refusal !== null) return false
    const { sequence: _, ...entry } = { ...sent.entry, sequence: 0, ordinal: partition.ordinal }
    this.#world.sent.set(sent.entry.crc, sent)
    const story = this.host.chronicle!.story(place.topicId, place.index)
    const ticket: AppendTicket = {
      settled: (_slot, verdict, baseOffset) => {
        const answer = { sent, verdict, baseOffset }
        this.#world.acked(this.host, story, answer)
        listener.answered(answer)
      },
      refused: (_slot, error) => listener.refused(sent, error),
    }
    log.append(entry, sent.bytes, 0, sent.bytes.length, ticket, 0)
    return true
  }

  /** Of a change that was proposed: whoever answers has to own the log. */
  async decided<T>(outcome: Promise<T>): Promise<T> {
    const result = await outcome
    this.#world.guard(() => this.#world.demandVoice(this.host))
    return result
  }

  /** What comes of it, if it comes within some time. */
  async ask<T>(answer: Promise<T>, withinMs: number): Promise<T> {
    const { clock } = this.#world
    const late = new Promise<never>((_, reject) => clock.after(withinMs, () => reject(new NoAnswer())))
    const heard = answer.catch(thrown => {
      throw thrown instanceof ChronikError ? new NoAnswer() : thrown
    })
    late.catch(() => {})
    heard.catch(() => {})
    return Promise.race([heard, late])
  }
}

export interface Listener {
  answered(answer: Answer): void
  refused(sent: SentBatch, error: ChronikError): void
}
