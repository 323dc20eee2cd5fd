import { crc32c } from '@node-rs/crc32'

const KEPT_LINES = 400

/** What happened in a run, line by line, and a hash of all of it: equal seeds must give equal hashes. */
export class Trace {
  #hash = 0
  readonly #lines: string[] = []
  readonly #print: ((line: string) => void) | null

  constructor(print: ((line: string) => void) | null = null) {
    this.#print = print
  }

  note(line: string): void {
    this.#hash = crc32c(line, this.#hash)
    this.#print?.(line)
    this.#lines.push(line)
    if (this.#lines.length > KEPT_LINES * 2) this.#lines.splice(0, KEPT_LINES)
  }

  get hash(): number {
    return this.#hash
  }

  last(count: number): string[] {
    return this.#lines.slice(-count)
  }
}
