// One accepted connection. Written for many small requests and for streams of large ones:
// - All sockets read into one shared buffer: its bytes are used or copied before the next read, so a read allocates nothing.
//   A handler that waits for the rest of a large frame names its own memory as the target, and nothing is copied at all.
// - Node offers this (`onread`) for sockets that it connects, not for those it accepts. So the handle of the accepted socket
//   moves into a second one that has the option. Where a handle is not what we know, 'data' events do the same with a copy.
// - A short answer is handed to the kernel by the descriptor of the socket: the way through a stream costs as much again. What
//   the kernel does not take goes that way.
//
// Calls on a handler, in order: target and received in turns, writable now and then; at last closed, once.

import { writeSync } from 'node:fs'
import { type OnReadOpts, Socket, type SocketConstructorOpts } from 'node:net'

export interface TcpSocket {
  /** '' if the peer was gone before we looked. */
  readonly remoteAddress: string
  readonly localAddress: string
  readonly localPort: number
  /**
   * One system call for all of `bytes`, after all that was written before. They must not change until `done`, which is
   * called exactly once and never during this call: the kernel has taken them, or the socket is gone.
   */
  write(bytes: Buffer | readonly Buffer[], done?: () => void): void
  /** The same for the first bytes of memory that changes after the call. */
  writeCopy(memory: Buffer, length: number): void
  /** Written and not yet taken by the kernel. */
  readonly pendingWriteBytes: number
  /** From now on nothing is received, and the kernel makes the peer wait. A peer that leaves is not noticed either. */
  pauseReading(): void
  resumeReading(): void
  /** Closes at once; what the kernel has not taken is lost. */
  destroy(): void
  /** Closes when the kernel has taken what was written. Nothing is received any more. */
  end(): void
}

export interface ReadTarget {
  bytes: Buffer
  from: number
  to: number
}

export interface TcpHandler {
  /** Where the next bytes shall go, asked after each `received`: into this memory, or null for the shared buffer. */
  target(): ReadTarget | null
  /** `bytes[from, to)` came: the beginning of the target, or a part of the shared buffer, valid only during the call. */
  received(bytes: Buffer, from: number, to: number): void
  /** Nothing is pending any more, after 64 KiB or more were. */
  writable(): void
  /** The socket is gone. Null if one of the sides closed it in an orderly way. */
  closed(error: Error | null): void
}

// How long a peer may take to close its side after `end`. To close without it could make the peer's system throw away
// what we sent last, such as the reason.
const LINGER_MS = 1000

export class AcceptedSocket implements TcpSocket {
  readonly remoteAddress: string
  readonly localAddress: string
  readonly localPort: number
  readonly #socket: Socket
  /** Of the system; negative where it is not known. */
  readonly #descriptor: number
  #handler: TcpHandler | null = null
  #target: ReadTarget | null = null
  #ended = false
  #error: Error | null = null

  /** `shared` is null to read by events. `accepted` must not have been read from. */
  constructor(
    accepted: Socket,
    shared: Buffer | null,
    onConnection: (socket: TcpSocket) => TcpHandler,
    onClosed: () => void,
  ) {
    this.remoteAddress = plainAddress(accepted.remoteAddress)
    this.localAddress = plainAddress(accepted.localAddress)
    this.localPort = accepted.localPort ?? 0
    const taken = shared === null ? null : takeOver(accepted, this.#readInto(shared))
    this.#socket = taken?.socket ?? accepted
    this.#descriptor = taken?.descriptor ?? -1
    if (taken === null) accepted.on('data', chunk => this.#copyToTargets(chunk)).resume()
    this.#socket
      .on('error', error => {
        this.#error = error
      })
      .on('end', () => {
        if (!this.#ended) this.destroy()
      })
      .on('drain', () => this.#handler?.writable())
      .on('close', () => {
        onClosed()
        this.#handler?.closed(this.#error)
      })
    this.#handler = onConnection(this)
  }

  write(bytes: Buffer | readonly Buffer[], done?: () => void): void {
    const socket = this.#socket
    if (socket.destroyed || this.#ended || bytes.length === 0) {
      if (done !== undefined) queueMicrotask(done)
    } else if (Buffer.isBuffer(bytes)) {
      const taken = this.#taken(bytes, bytes.length)
      if (taken < bytes.length) socket.write(bytes.subarray(taken), done)
      else if (done !== undefined) queueMicrotask(done)
    } else if (bytes.length === 1) {
      this.write(bytes[0]!, done)
    } else {
      socket.cork()
      const last = bytes.length - 1
      for (let i = 0; i < last; i++) socket.write(bytes[i]!)
      socket.write(bytes[last]!, done)
      socket.uncork()
    }
  }

  writeCopy(memory: Buffer, length: number): void {
    if (this.#socket.destroyed || this.#ended) return
    const taken = this.#taken(memory, length)
    if (taken < length) this.#socket.write(Buffer.from(memory.subarray(taken, length)))
  }

  /** How many bytes the kernel takes at once. An error is none of them: the stream meets it again, and tells. */
  #taken(bytes: Buffer, length: number): number {
    if (this.#descriptor < 0 || this.#socket.writableLength > 0) return 0
    try {
      return writeSync(this.#descriptor, bytes, 0, length)
    } catch {
      return 0
    }
  }

  get pendingWriteBytes(): number {
    return this.#socket.destroyed ? 0 : this.#socket.writableLength
  }

  pauseReading(): void {
    this.#socket.pause()
  }

  resumeReading(): void {
    this.#socket.resume()
  }

  destroy(): void {
    this.#socket.destroy()
  }

  end(): void {
    if (this.#ended || this.#socket.destroyed) return
    this.#ended = true
    const socket = this.#socket
    socket.end(() => {
      const linger = setTimeout(() => socket.destroy(), LINGER_MS).unref()
      socket.once('close', () => clearTimeout(linger))
    })
    // Reads to the end of what the peer sends, and drops it.
    socket.resume()
  }

  #readInto(shared: Buffer): OnReadOpts {
    return {
      buffer: () => {
        const target = this.#nextTarget()
        return target === null ? shared : target.bytes.subarray(target.from, target.to)
      },
      callback: count => {
        const target = this.#target
        if (target === null) this.#receive(shared, 0, count)
        else this.#receive(target.bytes, target.from, target.from + count)
        return true
      },
    }
  }

  #copyToTargets(chunk: Buffer): void {
    let at = 0
    while (at < chunk.length) {
      const target = this.#nextTarget()
      if (target === null) {
        this.#receive(chunk, at, chunk.length)
        return
      }
      const count = Math.min(target.to - target.from, chunk.length - at)
      chunk.copy(target.bytes, target.from, at, at + count)
      at += count
      this.#receive(target.bytes, target.from, target.from + count)
      if (this.#socket.isPaused()) {
        if (at < chunk.length) this.#socket.unshift(chunk.subarray(at))
        return
      }
    }
  }

  #nextTarget(): ReadTarget | null {
    this.#target = this.#ended || this.#socket?.destroyed ? null : (this.#handler?.target() ?? null)
    return this.#target
  }

  #receive(bytes: Buffer, from: number, to: number): void {
    if (!this.#ended && !this.#socket.destroyed) this.#handler?.received(bytes, from, to)
  }
}

/** A listener on `::` sees IPv4 peers as ::ffff:1.2.3.4. */
export function plainAddress(address: string | undefined): string {
  return address === undefined ? '' : address.replace(/^::ffff:(?=\d+\.)/, '')
}

interface TcpHandle {
  readonly fd: number
  useUserBuffer(buffer: Uint8Array): void
}

// Semi-internal: `_handle` is not documented, but packages rely on it, and what is needed of it is checked.
function takeOver(accepted: Socket, onread: OnReadOpts): { socket: Socket; descriptor: number } | null {
  const holder = accepted as unknown as { _handle: Partial<TcpHandle> | null }
  const handle = holder._handle
  if (typeof handle?.useUserBuffer !== 'function') return null
  holder._handle = null
  const socket = new Socket({ handle, readable: true, writable: true, onread } as unknown as SocketConstructorOpts)
  return { socket, descriptor: handle.fd ?? -1 }
}
