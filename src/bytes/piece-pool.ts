// Memory for what is written to disks and stores in large pieces. All of it is reserved in one go when the first piece is asked for:
// each time memory of this kind is allocated and dropped the garbage collector walks the heap. What nobody wrote on takes no room. It
// begins at a page, as direct writes ask for (system/disk.ts).

export const PIECE_BYTES = 1 << 20
const WASM_PAGE_BYTES = 65536

/** The types of Node leave it out. */
declare const WebAssembly: { Memory: new (size: { initial: number; maximum: number }) => { buffer: ArrayBuffer } }

const pageMemory = new WeakSet<ArrayBufferLike>()

/** Does the memory that the bytes are in begin at a page of the system? */
export function isInPageMemory({ buffer }: Uint8Array): boolean {
  return pageMemory.has(buffer)
}

export class PiecePool {
  readonly #keptBytes: number
  readonly #free: Buffer[] = []
  #isReserved = false

  /** `keptBytes`: what is reserved; what is needed beyond that is given back. */
  constructor(keptBytes: number) {
    this.#keptBytes = keptBytes
  }

  /** PIECE_BYTES, with anything in it. */
  take(): Buffer {
    if (!this.#isReserved) this.#reserve()
    // What was used last, so that as little as possible is ever touched.
    return this.#free.pop() ?? Buffer.allocUnsafeSlow(PIECE_BYTES)
  }

  #reserve(): void {
    this.#isReserved = true
    const count = Math.floor(this.#keptBytes / PIECE_BYTES)
    if (count === 0) return
    const pages = (count * PIECE_BYTES) / WASM_PAGE_BYTES
    const { buffer } = new WebAssembly.Memory({ initial: pages, maximum: pages })
    pageMemory.add(buffer)
    for (let i = count - 1; i >= 0; i--) this.#free.push(Buffer.from(buffer, i * PIECE_BYTES, PIECE_BYTES))
  }

  /** Takes back a piece of `take` that nobody looks at any more. */
  give(piece: Buffer): void {
    if (isInPageMemory(piece)) this.#free.push(piece)
  }
}
