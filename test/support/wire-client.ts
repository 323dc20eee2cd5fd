// One connection that speaks the protocol byte by byte: it sends what no decent client would send, and hides nothing of what
// comes back. Answers belong to requests in the order of sending; several may be under way.

import { connect, type Socket } from 'node:net'
import { ByteReader } from '#bytes/cursor.ts'
import { decodeResponse, type Encodable, encodeRequest, type Message, MessageWriter } from '#kafka/protocol/protocol.ts'
import { type ApiName, type RequestBody, type ResponseBody, wireMessages } from '#test/support/wire-messages.ts'

const DEADLINE_MS = 30_000
const CLIENT_ID = 'wire-client'

interface Waiter {
  resolve(payload: Buffer): void
  reject(error: Error): void
}

export class ConnectionClosed extends Error {
  override readonly name = 'ConnectionClosed'
}

export class WireClient {
  readonly #socket: Socket
  readonly #waiters: Waiter[] = []
  readonly #unclaimed: Buffer[] = []
  #chunks: Buffer[] = []
  #receivedBytes = 0
  /** Of the frame that is coming; 4 while its size is not known. */
  #wantedBytes = 4
  #correlationId = 0
  #closed: ConnectionClosed | null = null

  private constructor(socket: Socket) {
    this.#socket = socket
    socket.on('data', bytes => this.#take(bytes))
    socket.on('error', error => this.#end(`the connection failed: ${error.message}`))
    socket.on('close', () => this.#end('the broker closed the connection'))
  }

  static connect({ host, port }: { host: string; port: number }): Promise<WireClient> {
    return new Promise((resolve, reject) => {
      const socket = connect({ host, port, noDelay: true })
      socket.once('error', reject)
      socket.once('connect', () => {
        socket.off('error', reject)
        resolve(new WireClient(socket))
      })
    })
  }

  /** The answer to one request. Throws ConnectionClosed if the broker hangs up instead. */
  async send<N extends ApiName>(api: N, version: number, body: RequestBody<N>): Promise<ResponseBody<N>> {
    const correlationId = this.sendOnly(api, version, body)
    const reader = new ByteReader(await this.receive())
    const { response } = wireMessages[api]
    const answer = decodeResponse(response as Message, version, reader)
    if (answer.correlationId !== correlationId) {
      throw new Error(`the answer to ${api} has correlation id ${answer.correlationId}, not ${correlationId}`)
    }
    return answer.value as ResponseBody<N>
  }

  /** Sends a request and waits for nothing: with acks=0 nothing comes. Returns its correlation id. */
  sendOnly<N extends ApiName>(api: N, version: number, body: RequestBody<N>): number {
    const correlationId = ++this.#correlationId
    this.sendRaw(requestFrame(wireMessages[api].request, version, correlationId, body))
    return correlationId
  }

  /** Any bytes, right or wrong, as they are. */
  sendRaw(bytes: Buffer): void {
    this.#socket.write(bytes)
  }

  /** The next answer that nobody waits for yet, behind its size: response header and body. */
  receive(deadlineMs = DEADLINE_MS): Promise<Buffer> {
    const next = this.#unclaimed.shift()
    if (next !== undefined) return Promise.resolve(next)
    if (this.#closed !== null) return Promise.reject(this.#closed)
    return new Promise((resolve, reject) => {
      const late = setTimeout(() => reject(new Error(`no answer within ${deadlineMs} ms`)), deadlineMs)
      this.#waiters.push({
        resolve: payload => {
          clearTimeout(late)
          resolve(payload)
        },
        reject: error => {
          clearTimeout(late)
          reject(error)
        },
      })
    })
  }

  /** Waits until the broker hangs up; fails if it answers or does nothing instead. */
  async expectClosed(deadlineMs = DEADLINE_MS): Promise<void> {
    const answer = await this.receive(deadlineMs).catch((error: Error) => error)
    if (answer instanceof ConnectionClosed) return
    if (answer instanceof Error) throw new Error(`the connection is still open: ${answer.message}`)
    throw new Error(`an answer instead of a closed connection: ${answer.toString('hex', 0, 64)}`)
  }

  get isClosed(): boolean {
    return this.#closed !== null
  }

  close(): void {
    this.#socket.destroy()
    this.#end('closed by the test')
  }

  #take(bytes: Buffer): void {
    this.#chunks.push(bytes)
    this.#receivedBytes += bytes.length
    if (this.#receivedBytes < this.#wantedBytes) return
    let rest = Buffer.concat(this.#chunks)
    for (;;) {
      this.#wantedBytes = rest.length < 4 ? 4 : 4 + rest.readInt32BE(0)
      if (rest.length < this.#wantedBytes) break
      this.#deliver(rest.subarray(4, this.#wantedBytes))
      rest = rest.subarray(this.#wantedBytes)
    }
    this.#chunks = [rest]
    this.#receivedBytes = rest.length
  }

  #deliver(payload: Buffer): void {
    const waiter = this.#waiters.shift()
    if (waiter === undefined) this.#unclaimed.push(payload)
    else waiter.resolve(payload)
  }

  #end(reason: string): void {
    if (this.#closed !== null) return
    this.#closed = new ConnectionClosed(reason)
    for (const waiter of this.#waiters.splice(0)) waiter.reject(this.#closed)
  }
}

/** The bytes of a request, its size in front: to send as they are, or to damage first. */
export function requestFrame(request: Message, version: number, correlationId: number, body: object): Buffer {
  const writer = new MessageWriter()
  const header = { apiVersion: version, correlationId, clientId: CLIENT_ID }
  encodeRequest(request, header, body as Encodable<Message>, writer)
  return Buffer.concat(writer.takeChunks())
}
