import { assert } from '#base/assert.ts'
import { messageOf } from '#base/errors.ts'
import { ByteReader, MalformedBytes } from '#bytes/cursor.ts'
import { advertisedFor, type HostPort } from '#config/advertised.ts'
import type { ReadTarget, TcpHandler, TcpSocket } from '#system/net.ts'
import type { Broker, RequestContext } from './broker.ts'
import { type ConnectionHub, type HubConnection, STALL_MS } from './connection-hub.ts'
import type { FrameWaiter } from './frame-pool.ts'
import type { Handler } from './handler.ts'
import { PRODUCE_KEY, TopicLookup } from './produce.ts'
import type { ProducedPart, ProduceTicket } from './produce-ticket.ts'
import type { MessageWriter, RequestHeader } from './protocol/protocol.ts'

// One client connection: cuts what comes in into frames, hands requests on in order, sends answers in order.
//
// Produce requests are pipelined: each is staged as soon as it is read, and their answers wait in `#tickets` for the commit.
// Any other request begins when everything before it is answered, and what comes behind it waits: held frames are kept here
// and the socket is not read meanwhile. The same happens when too many bytes are unanswered, or answers are not taken.

/** What the connection asks of the requests' side; dispatch.ts is that. */
export interface Requests {
  /** Reads the header and finds the handler; null: answer nothing, close. */
  begin(reader: ByteReader, connection: KafkaConnection): { header: RequestHeader; handler: Handler | 'produce' } | null
  /** Stages what is produced. A promise if the frame is needed for longer than the call. */
  produce(connection: KafkaConnection, frame: Frame, header: RequestHeader, reader: ByteReader): Promise<void> | null
  /** Encodes the answer. */
  answer(
    handler: Handler,
    header: RequestHeader,
    reader: ByteReader,
    context: RequestContext,
  ): Promise<MessageWriter> | MessageWriter
}

export interface Frame {
  bytes: Buffer
  from: number
  to: number
  /** From the pool: goes back when the request is done with. Otherwise the bytes are valid only during the call. */
  owned: boolean
}

const SIZE_BYTES = 4
/** From this size on a frame that is still to come is read straight into its own memory. */
const DIRECT_BYTES = 32768
/** The next request waits while the kernel has not taken this much of the answers before it. */
const UNSENT_BYTES = 1 << 16

/** What a large request must bring on average to keep its room while others wait. */
const STALL_BYTES_PER_MS = 64

export class KafkaConnection implements TcpHandler, FrameWaiter, HubConnection {
  readonly broker: Broker
  readonly socket: TcpSocket
  readonly advertised: HostPort
  readonly #requests: Requests
  readonly #hub: ConnectionHub
  readonly topics: TopicLookup

  // A frame that has not come whole.
  #size = 0
  #sizeHave = 0
  #partial: Buffer | null = null
  #have = 0
  #need = 0
  #partialBeganMs = 0
  #unplaced: Buffer | null = null

  readonly #held: Frame[] = []
  readonly #tickets: ProduceTicket[] = []
  #inflightBytes = 0
  #busy = false
  #reading = true
  /** Nothing new is begun; it closes when all that was begun is answered. */
  #ending = false
  #gone = false
  #activeMs: number
  readonly #onGone = new Set<() => void>()

  constructor(socket: TcpSocket, broker: Broker, requests: Requests, hub: ConnectionHub) {
    this.socket = socket
    this.broker = broker
    this.#requests = requests
    this.#hub = hub
    this.topics = new TopicLookup(broker)
    this.advertised = advertisedFor(broker.settings, { address: socket.localAddress, port: socket.localPort })
    this.#activeMs = broker.clock.monotonicMs()
    hub.opened(this)
  }

  /** Nothing of it is under way. */
  get #isIdle(): boolean {
    return !this.#busy && this.#tickets.length === 0
  }

  get waitsForCommit(): boolean {
    return this.#tickets.some(ticket => !ticket.isDecided)
  }

  // ---- frames

  target(): ReadTarget | null {
    if (this.#partial === null || this.#need - this.#have < DIRECT_BYTES) return null
    return { bytes: this.#partial, from: this.#have, to: this.#need }
  }

  received(bytes: Buffer, from: number, to: number): void {
    let at = from
    this.#activeMs = this.broker.clock.monotonicMs()
    if (bytes === this.#partial) {
      this.#have += to - from
      at = to
      if (this.#have === this.#need) this.#takePartial()
    }
    while (at < to && !this.#ending) {
      if (this.#partial !== null) at = this.#continuePartial(bytes, at, to)
      else if (this.#sizeHave > 0 || to - at < SIZE_BYTES) at = this.#readSize(bytes, at, to)
      else at = this.#frameOrPart(bytes, at, to)
    }
    this.#hub.settle()
  }

  #frameOrPart(bytes: Buffer, at: number, to: number): number {
    const length = bytes.readInt32BE(at)
    if (!this.#isAcceptable(length)) return to
    const end = at + SIZE_BYTES + length
    if (end > to) {
      if (this.#beginPartial(length)) return at + SIZE_BYTES
      this.#waitForRoom(bytes, at + SIZE_BYTES, to)
      return to
    }
    this.#accept({ bytes, from: at + SIZE_BYTES, to: end, owned: false })
    return end
  }

  #readSize(bytes: Buffer, at: number, to: number): number {
    for (; at < to && this.#sizeHave < SIZE_BYTES; this.#sizeHave++) this.#size = (this.#size << 8) | bytes[at++]!
    if (this.#sizeHave < SIZE_BYTES) return at
    this.#sizeHave = 0
    const length = this.#size
    if (!this.#isAcceptable(length)) return to
    if (this.#beginPartial(length)) return at
    this.#waitForRoom(bytes, at, to)
    return to
  }

  #isAcceptable(length: number): boolean {
    if (length > 0 && length <= this.broker.settings.maxRequestBytes) return true
    this.close(`a request of ${length} bytes: from 1 to ${this.broker.settings.maxRequestBytes} are accepted`)
    return false
  }

  /** False: there is no room for the frame now; `frameRoom` goes on with it. */
  #beginPartial(length: number): boolean {
    this.#have = 0
    this.#need = length
    this.#partialBeganMs = this.broker.clock.monotonicMs()
    this.#partial = this.broker.frames.take(length, this)
    return this.#partial !== null
  }

  /** Keeps what was read beyond the size of a frame that has no room yet. */
  #waitForRoom(bytes: Buffer, at: number, to: number): void {
    this.#unplaced = Buffer.from(bytes.subarray(at, to))
    this.#pause()
    this.#hub.frameWaits(this.broker.clock, this.broker.frames)
  }

  frameRoom(): void {
    const unplaced = this.#unplaced
    if (unplaced === null || this.#gone || !this.#beginPartial(this.#need)) return
    this.#unplaced = null
    this.received(unplaced, 0, unplaced.length)
    this.#hub.touched(this)
    this.#hub.settle()
  }

  /** A frame has begun a while ago and comes slower than others should have to wait for. */
  isStalled(nowMs: number): boolean {
    const elapsedMs = nowMs - this.#partialBeganMs
    return this.#partial !== null && elapsedMs >= STALL_MS && this.#have / elapsedMs < STALL_BYTES_PER_MS
  }

  /** Nothing is under way and nothing came for this long. */
  idleMs(nowMs: number): number {
    return this.#isIdle ? nowMs - this.#activeMs : 0
  }

  #continuePartial(bytes: Buffer, at: number, to: number): number {
    const partial = this.#partial
    assert(partial !== null, 'a frame has begun')
    const end = Math.min(to, at + this.#need - this.#have)
    bytes.copy(partial, this.#have, at, end)
    this.#have += end - at
    if (this.#have === this.#need) this.#takePartial()
    return end
  }

  #takePartial(): void {
    const bytes = this.#partial
    assert(bytes !== null, 'a frame has come whole')
    this.#partial = null
    this.#accept({ bytes, from: 0, to: this.#need, owned: true })
  }

  // ---- requests, in order

  #accept(frame: Frame): void {
    if (this.#ending) {
      if (frame.owned) this.broker.frames.give(frame.bytes)
    } else if (this.#held.length === 0 && this.#mayBegin(frame)) this.#begin(frame)
    else this.#hold(frame)
  }

  #hold(frame: Frame): void {
    if (frame.owned) {
      this.#held.push(frame)
    } else {
      const bytes = this.broker.frames.copy(frame.bytes, frame.from, frame.to)
      this.#held.push({ bytes, from: 0, to: frame.to - frame.from, owned: true })
    }
    this.#pause()
  }

  #pause(): void {
    if (!this.#reading) return
    this.#reading = false
    this.socket.pauseReading()
  }

  #mayBegin(frame: Frame): boolean {
    if (this.#busy || this.socket.pendingWriteBytes > UNSENT_BYTES) return false
    if (!isProduce(frame)) return this.#tickets.length === 0
    if (this.#inflightBytes >= this.broker.settings.maxInflightBytesPerConnection) return false
    // On a log that has failed nothing is staged: the request is refused.
    if (this.broker.log.commits.failure !== null) return true
    if (this.broker.log.commits.pendingBytes < this.broker.settings.maxInflightBytes) return true
    this.#hub.waitsForCommit(this)
    return false
  }

  /** Goes on with what was held, as far as it may begin now. */
  #resume(): void {
    for (
      let frame = this.#held[0];
      frame !== undefined && !this.#ending && this.#mayBegin(frame);
      frame = this.#held[0]
    ) {
      this.#held.shift()
      this.#begin(frame)
    }
    if (this.#held.length > 0 || this.#unplaced !== null || this.#reading || this.#ending) return
    this.#reading = true
    this.socket.resumeReading()
  }

  #begin(frame: Frame): void {
    let work: Promise<void> | null = null
    let begun: ReturnType<Requests['begin']> = null
    const failed = (thrown: unknown): void => {
      if (begun !== null) this.broker.metrics.requestErrors.of(begun.header.apiKey).value++
      this.#failed(thrown)
    }
    try {
      const reader = new ByteReader(frame.bytes, frame.from, frame.to)
      begun = this.#requests.begin(reader, this)
      if (begun?.handler === 'produce') work = this.#requests.produce(this, frame, begun.header, reader)
      else if (begun !== null) work = this.#answer(begun.handler, begun.header, reader)
    } catch (thrown) {
      failed(thrown)
    }
    if (work === null) {
      if (frame.owned) this.broker.frames.give(frame.bytes)
      return
    }
    this.#busy = true
    void work.catch(failed).finally(() => {
      this.#busy = false
      if (frame.owned) this.broker.frames.give(frame.bytes)
      this.#hub.touched(this)
      this.#hub.settle()
    })
  }

  #answer(handler: Handler, header: RequestHeader, reader: ByteReader): Promise<void> | null {
    const sent: (() => void)[] = []
    const gone: (() => void)[] = []
    const context: RequestContext = {
      broker: this.broker,
      version: header.apiVersion,
      clientId: header.clientId,
      clientHost: `/${this.socket.remoteAddress}`,
      advertised: this.advertised,
      onSent: call => sent.push(call),
      onGone: call => {
        gone.push(call)
        this.#onGone.add(call)
      },
    }
    // Once the request is over, the connection does not matter to it any more.
    const done = (): void => {
      for (const call of sent) call()
    }
    const over = (): void => {
      for (const call of gone) this.#onGone.delete(call)
    }
    const send = (writer: MessageWriter): void => {
      over()
      if (this.#gone) done()
      else this.socket.write(writer.takeChunks(), done)
    }
    const failed = (thrown: unknown): never => {
      over()
      done()
      throw thrown
    }
    let written: Promise<MessageWriter> | MessageWriter
    try {
      written = this.#requests.answer(handler, header, reader, context)
    } catch (thrown) {
      return failed(thrown)
    }
    if (written instanceof Promise) return written.then(send, failed)
    send(written)
    return null
  }

  // ---- produce

  /** A produce request was read: its answer has its place now. */
  enqueue(ticket: ProduceTicket): void {
    this.#tickets.push(ticket)
    this.#inflightBytes += ticket.frameBytes
  }

  /** The answer goes out at the end of the turn, behind those before it. */
  produceDecided(ticket: ProduceTicket): void {
    const { metrics, clock } = this.broker
    const seconds = (clock.monotonicMs() - ticket.beganMs) / 1000
    metrics.produceLatency.observe(seconds)
    metrics.requestLatency.of(PRODUCE_KEY).observe(seconds)
    if (ticket.parts.some(isFailed)) metrics.requestErrors.of(PRODUCE_KEY).value++
    this.#hub.touched(this)
  }

  /** Sends what can be sent, and goes on with what waited for it. */
  flush(): void {
    const { answers } = this.#hub
    answers.offset = 0
    let count = 0
    let failed = false
    while (!failed && this.#tickets[count]?.isDecided) {
      const ticket = this.#tickets[count++]!
      this.#inflightBytes -= ticket.frameBytes
      failed = !ticket.writeAnswer(answers)
    }
    if (failed || count === this.#tickets.length) this.#tickets.length = 0
    else if (count > 0) this.#tickets.splice(0, count)
    if (answers.offset > 0 && !this.#gone) this.socket.writeCopy(answers.bytes, answers.offset)
    if (failed) this.close('a request without acks failed')
    if (this.#ending) this.#endWhenIdle()
    else if (this.#held.length > 0 || !this.#reading) this.#resume()
  }

  // ---- the end

  #failed(thrown: unknown): void {
    if (!(thrown instanceof MalformedBytes)) {
      this.broker.logger.error('a request failed', { error: thrown, client: this.socket.remoteAddress })
    }
    this.close(messageOf(thrown))
  }

  /** Closes with one log line that says why, when what was begun before is answered. */
  close(reason: string): void {
    if (this.#ending) return
    this.broker.logger.warn('connection closed', { client: this.socket.remoteAddress, reason })
    this.drain()
  }

  /** Begins nothing more, and closes when all that was begun is answered. */
  drain(): void {
    this.#ending = true
    this.#unplaced = null
    for (const frame of this.#held.splice(0)) this.broker.frames.give(frame.bytes)
    // A fetch that waits for records would not be answered in time.
    for (const call of [...this.#onGone]) call()
    this.#hub.touched(this)
  }

  #endWhenIdle(): void {
    if (!this.#isIdle || this.#gone) return
    this.#gone = true
    this.socket.end()
  }

  writable(): void {
    this.#hub.touched(this)
    this.#hub.settle()
  }

  /** Only now nothing is read into a frame's memory any more. */
  closed(): void {
    this.#gone = true
    this.#ending = true
    if (this.#partial !== null) this.broker.frames.give(this.#partial)
    this.#partial = null
    this.#unplaced = null
    for (const frame of this.#held.splice(0)) this.broker.frames.give(frame.bytes)
    for (const call of this.#onGone) call()
    this.#onGone.clear()
    this.#hub.closed(this)
  }

  destroy(): void {
    this.socket.destroy()
  }
}

function isProduce(frame: Frame): boolean {
  return frame.to - frame.from >= 2 && frame.bytes.readInt16BE(frame.from) === PRODUCE_KEY
}

function isFailed(part: ProducedPart): boolean {
  return part.errorCode !== 0
}
