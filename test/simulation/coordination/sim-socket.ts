import { ByteReader } from '#bytes/cursor.ts'
import type { KafkaConnection } from '#kafka/connection.ts'
import { decodeResponse, type Message } from '#kafka/protocol/protocol.ts'
import type { TcpSocket } from '#system/tcp-socket.ts'
import { requestFrame } from '#test/support/wire-client.ts'
import { type ApiName, wireMessages } from '#test/support/wire-messages.ts'
import { Gone } from './agreements.ts'
import type { Machine } from './machine.ts'

// One connection to the simulated broker: requests reach it late, and answers their client. What a request was and what was
// answered is known at the moment in which the broker answers.

interface Waiting {
  readonly api: ApiName
  readonly version: number
  readonly answered: (answer: never) => void
  readonly lost: (error: Error) => void
}

export class SimSocket implements TcpSocket {
  readonly remoteAddress = '10.0.0.1'
  readonly localAddress = '10.0.0.2'
  readonly localPort = 9092
  readonly pendingWriteBytes = 0
  readonly #machine: Machine
  #connection: KafkaConnection | null = null
  readonly #waiting: Waiting[] = []
  /** What came while the broker did not read. */
  #held: Buffer[] = []
  #isPaused = false
  #isLost = false

  constructor(machine: Machine) {
    this.#machine = machine
  }

  open(connection: KafkaConnection): void {
    this.#connection = connection
  }

  get isLost(): boolean {
    return this.#isLost
  }

  // ---- the client's side

  /** The request arrives now. Resolves, in this moment of the broker, with its answer; rejects if there is none. */
  send(api: ApiName, version: number, body: object): Promise<never> {
    if (this.#isLost) return Promise.reject(new Gone())
    return new Promise((answered, lost) => {
      this.#waiting.push({ api, version, answered, lost })
      this.#deliver(requestFrame(wireMessages[api].request as Message, version, 1, body))
    })
  }

  #deliver(frame: Buffer): void {
    if (this.#isPaused) this.#held.push(frame)
    else this.#connection?.received(frame, 0, frame.length)
  }

  /** The client goes, or the broker has gone. */
  lost(): void {
    if (this.#isLost) return
    this.#isLost = true
    this.#machine.closed(this)
    for (const { lost } of this.#waiting.splice(0)) lost(new Gone())
    if (this.#machine.isAlive) this.#connection?.closed()
  }

  // ---- TcpSocket

  write(bytes: Buffer | readonly Buffer[], done?: () => void): void {
    this.#answered(Buffer.concat(Buffer.isBuffer(bytes) ? [bytes] : bytes))
    if (done !== undefined) this.#machine.clock.soon(done)
  }

  writeCopy(memory: Buffer, length: number): void {
    this.#answered(Buffer.from(memory.subarray(0, length)))
  }

  #answered(bytes: Buffer): void {
    for (let at = 0; at < bytes.length; ) {
      const end = at + 4 + bytes.readInt32BE(at)
      const waiting = this.#waiting.shift()
      if (waiting !== undefined) {
        const message = wireMessages[waiting.api].response as Message
        waiting.answered(decodeResponse(message, waiting.version, new ByteReader(bytes, at + 4, end)).value as never)
      }
      at = end
    }
  }

  pauseReading(): void {
    this.#isPaused = true
  }

  resumeReading(): void {
    this.#isPaused = false
    this.#machine.clock.soon(() => {
      while (!this.#isPaused && this.#held.length > 0) this.#deliver(this.#held.shift()!)
    })
  }

  destroy(): void {
    this.#machine.clock.soon(() => this.lost())
  }

  end(): void {
    this.destroy()
  }
}
