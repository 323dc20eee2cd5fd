import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { describe, expect, it, onTestFinished } from 'vitest'
import { ChronikError } from '#base/errors.ts'
import { listenTcp, type ReadTarget, type TcpHandler, type TcpListener, type TcpSocket } from '#system/net.ts'
import { until } from '#test/support/until.ts'

type Reading = 'shared-buffer' | 'events'

/** Keeps all that it receives; reads into its own memory while it has some. */
class Recorder implements TcpHandler {
  readonly socket: TcpSocket
  readonly parts: Buffer[] = []
  ownMemory: ReadTarget | null = null
  onReceived: (bytes: Buffer, from: number, to: number) => void = () => {}
  writableCalls = 0
  closedWith: (Error | null)[] = []

  constructor(socket: TcpSocket) {
    this.socket = socket
  }

  get all(): Buffer {
    return Buffer.concat(this.parts)
  }

  target(): ReadTarget | null {
    return this.ownMemory
  }

  received(bytes: Buffer, from: number, to: number): void {
    expect(this.closedWith).toEqual([])
    this.parts.push(Buffer.from(bytes.subarray(from, to)))
    this.onReceived(bytes, from, to)
  }

  writable(): void {
    this.writableCalls++
  }

  closed(error: Error | null): void {
    this.closedWith.push(error)
  }
}

async function startListener(reading: Reading, maxConnections = 1000) {
  const handlers: Recorder[] = []
  const refused: ChronikError[] = []
  const listener = await listenTcp({
    host: '127.0.0.1',
    port: 0,
    maxConnections,
    reading,
    onConnection: socket => {
      handlers.push(new Recorder(socket))
      return handlers.at(-1)!
    },
    onRefused: error => void refused.push(error),
  })
  onTestFinished(async () => {
    for (const handler of handlers) handler.socket.destroy()
    await listener.close()
  })
  const accept = async (): Promise<{ client: Socket; handler: Recorder }> => {
    const before = handlers.length
    const client = await connectTo(listener)
    await until('the connection is accepted', () => handlers.length > before)
    return { client, handler: handlers[before]! }
  }
  return { listener, handlers, refused, accept }
}

async function connectTo(listener: TcpListener): Promise<Socket> {
  const client = connect(listener.port, listener.address)
  client.on('error', () => {})
  onTestFinished(() => void client.destroy())
  await once(client, 'connect')
  return client
}

/** Bytes that repeat only after a length that no buffer has. */
function pattern(length: number, seed: number): Buffer {
  const block = Uint8Array.from({ length: 65_521 }, (_, i) => i * 31 + (i >> 8) + seed)
  return Buffer.alloc(length, block)
}

function collect(client: Socket): Buffer[] {
  const chunks: Buffer[] = []
  client.on('data', chunk => chunks.push(chunk))
  return chunks
}

const lengthOf = (chunks: Buffer[]) => chunks.reduce((sum, chunk) => sum + chunk.length, 0)

describe.each<Reading>(['shared-buffer', 'events'])('a TCP listener that reads by %s', reading => {
  describeReading(reading)
  describeWriting(reading)
  describeClosing(reading)
})

function describeReading(reading: Reading): void {
  it('hands over what comes, in order, whatever the pieces are', async () => {
    const { accept } = await startListener(reading)
    const { client, handler } = await accept()
    const sent = pattern(3_000_000, 1)
    for (let at = 0, step = 1; at < sent.length; at += step, step = ((step * 7) % 60_000) + 1) {
      client.write(sent.subarray(at, at + step))
    }
    await until('all has come', () => handler.all.length >= sent.length)
    expect(handler.all.equals(sent)).toBe(true)
  })

  it('reads into the memory of a handler that names some, and never past its end', async () => {
    const { accept } = await startListener(reading)
    const { client, handler } = await accept()
    const memory = Buffer.alloc(1_000_200)
    handler.onReceived = (bytes, _from, to) => {
      if (handler.ownMemory === null && handler.parts.length === 1) {
        // The first four bytes announce a large frame.
        handler.ownMemory = { bytes: memory, from: 100, to: 1_000_100 }
      } else if (handler.ownMemory !== null) {
        expect(bytes).toBe(memory)
        handler.ownMemory = to < 1_000_100 ? { bytes: memory, from: to, to: 1_000_100 } : null
      }
    }
    client.write('head')
    await until('the head has come', () => handler.parts.length === 1)
    const frame = pattern(1_000_000, 2)
    client.write(Buffer.concat([frame, Buffer.from('tail')]))
    await until('the tail has come', () => handler.all.length >= 1_000_008)
    expect(memory.subarray(100, 1_000_100).equals(frame)).toBe(true)
    expect(memory.subarray(0, 100).every(byte => byte === 0)).toBe(true)
    expect(memory.subarray(1_000_100).every(byte => byte === 0)).toBe(true)
    expect(handler.all.subarray(1_000_004).toString()).toBe('tail')
  })

  it('keeps the bytes of many connections apart', async () => {
    const { accept } = await startListener(reading)
    const pairs = [await accept()]
    while (pairs.length < 60) pairs.push(await accept())
    const sent = pairs.map((_, i) => pattern(100_000, i))
    for (let at = 0; at < 100_000; at += 9_999) {
      for (const [i, { client }] of pairs.entries()) client.write(sent[i]!.subarray(at, at + 9_999))
    }
    await until('all has come', () => pairs.every(({ handler }) => handler.all.length >= 100_000))
    for (const [i, { handler }] of pairs.entries()) expect(handler.all.equals(sent[i]!)).toBe(true)
  })

  it('receives nothing while it is paused, and all of it afterwards', async () => {
    const { accept } = await startListener(reading)
    const { client, handler } = await accept()
    const other = await accept()
    handler.onReceived = () => handler.socket.pauseReading()
    client.write('first')
    await until('the first bytes', () => handler.parts.length === 1)
    const rest = pattern(20_000_000, 3)
    client.write(rest)
    // What another connection sends later still comes; so the loop has turned and this one would have been read.
    for (let i = 0; i < 5; i++) {
      other.client.write('x')
      await until('the other connection is read', () => other.handler.all.length === i + 1)
    }
    expect(handler.all.toString()).toBe('first')
    expect(client.writableLength).toBeGreaterThan(0)
    handler.onReceived = () => {}
    handler.socket.resumeReading()
    await until('the rest', () => handler.all.length === 5 + rest.length)
    expect(handler.all.subarray(5).equals(rest)).toBe(true)
  })

  it('loses nothing when it is paused between its own memory and what follows', async () => {
    const { accept } = await startListener(reading)
    const { client, handler } = await accept()
    handler.onReceived = () => {
      handler.ownMemory = null
      handler.socket.pauseReading()
      setImmediate(() => handler.socket.resumeReading())
    }
    const sent = pattern(100_000, 9)
    client.write(sent.subarray(0, 1))
    await until('the first byte', () => handler.parts.length > 0)
    handler.ownMemory = { bytes: Buffer.alloc(4), from: 0, to: 4 }
    client.write(sent.subarray(1))
    await until('all has come', () => handler.all.length >= sent.length)
    expect(handler.all.equals(sent)).toBe(true)
  })

  it('receives nothing after a handler has closed its socket', async () => {
    const { accept } = await startListener(reading)
    const { client, handler } = await accept()
    handler.onReceived = () => handler.socket.destroy()
    client.write(pattern(2_000_000, 4))
    await until('it is closed', () => handler.closedWith.length === 1)
    expect(handler.parts).toHaveLength(1)
  })
}

function describeWriting(reading: Reading): void {
  it('writes single buffers and lists of them in order', async () => {
    const { accept } = await startListener(reading)
    const { client, handler } = await accept()
    const chunks = collect(client)
    const sent = pattern(2_000_000, 5)
    let doneCalls = 0
    const done = () => void doneCalls++
    handler.socket.write(sent.subarray(0, 10), done)
    handler.socket.write([sent.subarray(10, 20), sent.subarray(20, 1_000_000), sent.subarray(1_000_000)], done)
    handler.socket.write([], done)
    expect(doneCalls).toBe(0)
    await until('all has come', () => lengthOf(chunks) === sent.length)
    expect(Buffer.concat(chunks).equals(sent)).toBe(true)
    await until('done was called', () => doneCalls === 3)
    expect(handler.socket.pendingWriteBytes).toBe(0)
  })

  it('writes copies of memory that changes at once, in order with what is pending', async () => {
    const { accept } = await startListener(reading)
    const { client, handler } = await accept()
    client.pause()
    const chunks = collect(client)
    const sent = pattern(20_000_000, 5)
    const memory = Buffer.alloc(100_000)
    for (let at = 0; at < sent.length; at += memory.length) {
      sent.copy(memory, 0, at, at + memory.length)
      if (at % 300_000 === 0) handler.socket.write(Buffer.from(memory))
      else handler.socket.writeCopy(memory, memory.length)
      memory.fill(0)
    }
    expect(handler.socket.pendingWriteBytes).toBeGreaterThan(0)
    client.resume()
    await until('all has come', () => lengthOf(chunks) === sent.length)
    expect(Buffer.concat(chunks).equals(sent)).toBe(true)
  })

  it('tells what is pending while the peer does not read, and says when it has read', async () => {
    const { accept } = await startListener(reading)
    const { client, handler } = await accept()
    client.pause()
    let done = false
    handler.socket.write(pattern(30_000_000, 6), () => (done = true))
    expect(handler.socket.pendingWriteBytes).toBeGreaterThan(0)
    expect(done).toBe(false)
    expect(handler.writableCalls).toBe(0)
    client.resume()
    await until('all was taken', () => done)
    expect(handler.writableCalls).toBe(1)
    expect(handler.socket.pendingWriteBytes).toBe(0)
  })

  it('calls done exactly once for every write when it is destroyed in the middle of them', async () => {
    const { accept } = await startListener(reading)
    const { client, handler } = await accept()
    client.pause()
    const calls = Array.from({ length: 20 }, () => 0)
    for (let i = 0; i < 10; i++) {
      handler.socket.write([pattern(4_000_000, i), pattern(10, i)], () => void calls[i]!++)
    }
    handler.socket.destroy()
    handler.socket.destroy()
    for (let i = 10; i < 20; i++) handler.socket.write(pattern(10, i), () => void calls[i]!++)
    await until('every done', () => calls.every(count => count > 0))
    await until('it is closed', () => handler.closedWith.length === 1)
    expect(calls).toEqual(calls.map(() => 1))
    expect(handler.socket.pendingWriteBytes).toBe(0)
  })

  it('calls done exactly once for every write when the peer resets the connection', async () => {
    const { accept } = await startListener(reading)
    const { client, handler } = await accept()
    client.pause()
    const calls = Array.from({ length: 5 }, () => 0)
    for (let i = 0; i < 5; i++) handler.socket.write(pattern(8_000_000, i), () => void calls[i]!++)
    client.resetAndDestroy()
    await until('it is closed', () => handler.closedWith.length === 1)
    await until('every done', () => calls.every(count => count > 0))
    expect(calls).toEqual([1, 1, 1, 1, 1])
    expect(handler.closedWith[0]).toMatchObject({ code: expect.stringMatching(/ECONNRESET|EPIPE/) })
  })
}

function describeClosing(reading: Reading): void {
  it('is closed once and without an error when the peer leaves, with half a frame sent', async () => {
    const { accept } = await startListener(reading)
    const { client, handler } = await accept()
    client.end('half a fra')
    await until('it is closed', () => handler.closedWith.length === 1)
    expect(handler.all.toString()).toBe('half a fra')
    expect(handler.closedWith).toEqual([null])
  })

  it('does not keep for a peer that has left what it never read', async () => {
    const { accept } = await startListener(reading)
    const { client, handler } = await accept()
    client.pause()
    let done = 0
    handler.socket.write(pattern(30_000_000, 10), () => void done++)
    client.end()
    await until('it is closed', () => handler.closedWith.length === 1)
    await until('done was called', () => done > 0)
    expect(done).toBe(1)
  })

  it('sends what was written before it ends, though the peer still sends', async () => {
    const { accept } = await startListener(reading)
    const { client, handler } = await accept()
    const chunks = collect(client)
    client.write(pattern(1_000_000, 7))
    const answer = pattern(5_000_000, 8)
    handler.onReceived = () => {
      handler.onReceived = () => expect.unreachable('nothing is received after the end')
      handler.socket.write(answer)
      handler.socket.end()
      handler.socket.end()
    }
    await until('it is closed', () => handler.closedWith.length === 1)
    await until('the answer has come', () => lengthOf(chunks) === answer.length)
    expect(Buffer.concat(chunks).equals(answer)).toBe(true)
    expect(handler.closedWith).toEqual([null])
  })

  it('does not wait for ever for a peer that keeps its side open', async () => {
    const { listener, handlers } = await startListener(reading)
    const client = connect({ port: listener.port, host: listener.address, allowHalfOpen: true })
    onTestFinished(() => void client.destroy())
    client.resume()
    await until('the connection is accepted', () => handlers.length === 1)
    handlers[0]!.socket.end()
    await once(client, 'end')
    expect(client.writable).toBe(true)
    await until('it is closed', () => handlers[0]!.closedWith.length === 1)
  })

  it('frees the port when the listener closes, while its sockets live on', async () => {
    const { listener, accept } = await startListener(reading)
    const { client, handler } = await accept()
    await listener.close()
    client.write('still here')
    await until('the bytes', () => handler.all.toString() === 'still here')
    const next = createServer().listen(listener.port, listener.address)
    await once(next, 'listening')
    next.close()
  })

  it('refuses connections beyond the limit and takes new ones when others are gone', async () => {
    const { listener, handlers, refused, accept } = await startListener(reading, 2)
    const first = await accept()
    await accept()
    const third = await connectTo(listener)
    await once(third, 'close')
    expect(refused).toMatchObject([{ code: 'TOO_MANY_CONNECTIONS', message: expect.stringContaining('127.0.0.1') }])
    expect(handlers).toHaveLength(2)
    first.client.destroy()
    await until('the first is gone', () => first.handler.closedWith.length === 1)
    await accept()
    expect(handlers).toHaveLength(3)
  })

  it('knows both ends of a connection', async () => {
    const { listener, accept } = await startListener(reading)
    const { handler } = await accept()
    expect(handler.socket.remoteAddress).toBe('127.0.0.1')
    expect(handler.socket.localAddress).toBe('127.0.0.1')
    expect(handler.socket.localPort).toBe(listener.port)
  })
}

describe('a TCP listener that cannot listen', () => {
  const options = {
    maxConnections: 1,
    onConnection: () => expect.unreachable(),
    onRefused: () => expect.unreachable(),
  }

  it('names a port that is taken and says what to do', async () => {
    const { listener } = await startListener('shared-buffer')
    const listening = listenTcp({ ...options, host: '127.0.0.1', port: listener.port })
    await expect(listening).rejects.toThrow(ChronikError)
    await expect(listening).rejects.toMatchObject({
      code: 'CANNOT_LISTEN',
      kind: 'unavailable',
      message: expect.stringMatching(new RegExp(`127\\.0\\.0\\.1:${listener.port}.*choose another port`)),
    })
  })

  it('names an address that is not of this machine', async () => {
    await expect(listenTcp({ ...options, host: '192.0.2.1', port: 0 })).rejects.toMatchObject({
      code: 'CANNOT_LISTEN',
      message: expect.stringContaining('192.0.2.1'),
    })
  })
})

describe('the shared buffer', () => {
  it('is what accepted sockets read into on this Node', async () => {
    const { accept } = await startListener('shared-buffer')
    const one = await accept()
    const two = await accept()
    const buffers = new Set<Buffer>()
    for (const { client, handler } of [one, two]) {
      handler.onReceived = bytes => void buffers.add(bytes)
      for (let i = 0; i < 3; i++) {
        client.write('ping')
        await until('the bytes', () => handler.all.length === (i + 1) * 4)
      }
    }
    expect(buffers.size).toBe(1)
  })
})
