// What producers sent, and what they were told of it. Each record says who sent it, where to and as the how manieth, with a checksum
// over that and its content, so that whoever reads one knows whether it is right.

import { crc32 } from 'node:zlib'
import { BrokenPromise } from '#test/crash/history.ts'
import type { Prng } from '#test/support/sim/prng.ts'

export interface Place {
  readonly topic: string
  readonly partition: number
}

/** A record as it was sent. */
export interface Sent {
  readonly stream: Stream
  readonly number: number
}

interface Entry {
  fate: 'unknown' | 'stored' | 'aborted'
  /** -1: not known. */
  offset: number
  /** When it was acknowledged, or its transaction was. */
  storedAtMs: number
}

/** A record as it was read. */
export interface Found {
  readonly offset: number
  readonly key: string | null
  readonly value: Buffer
}

/** A record that was acknowledged and is gone. */
export interface Loss {
  readonly what: string
  readonly storedAtMs: number
}

const PAYLOAD = 'abcdefghijklmnopqrstuvwxyz0123456789'

function demand(condition: boolean, message: () => string): asserts condition {
  if (!condition) throw new BrokenPromise(message())
}

export function nameOf({ topic, partition }: Place): string {
  return `${topic}-${partition}`
}

/** Each record is there once; or perhaps twice; or once, until a newer one has its key. */
export type StreamKind = 'once' | 'repeated' | 'compacted'

/** What one producer sends to one partition: in this order it is to be found there. */
export class Stream {
  readonly name: string
  readonly place: string
  readonly kind: StreamKind
  readonly entries: Entry[] = []
  /** Of a compacted stream: by key the number of the newest record that was acknowledged. */
  readonly newest = new Map<string, number>()

  constructor(producer: string, place: string, kind: StreamKind) {
    this.name = `${producer}>${place}`
    this.place = place
    this.kind = kind
  }

  entry(number: number): Entry {
    const entry = this.entries[number]
    demand(entry !== undefined, () => `${this.name}: record ${number} was never sent`)
    return entry
  }
}

export class Ledger {
  /** A disk is gone with what was acknowledged last. */
  mayHaveLost = false
  readonly #streams = new Map<string, Stream>()
  readonly #transactions: (readonly Sent[])[] = []
  readonly #prng: Prng

  constructor(prng: Prng) {
    this.#prng = prng
  }

  get streams(): Iterable<Stream> {
    return this.#streams.values()
  }

  get storedCount(): number {
    let count = 0
    for (const { entries } of this.streams) for (const { fate } of entries) if (fate === 'stored') count++
    return count
  }

  stream(producer: string, place: Place, kind: StreamKind): Stream {
    const made = new Stream(producer, nameOf(place), kind)
    const known = this.#streams.get(made.name)
    if (known === undefined) this.#streams.set(made.name, made)
    return known ?? made
  }

  /** The value of a new record, of about so many bytes that cannot be compressed. */
  send(stream: Stream, sizeBytes: number): { sent: Sent; value: string } {
    const number = stream.entries.push({ fate: 'unknown', offset: -1, storedAtMs: 0 }) - 1
    let payload = ''
    while (payload.length < sizeBytes) payload += this.#prng.u32().toString(36)
    payload += PAYLOAD.slice(0, this.#prng.between(0, 20))
    const said = `${stream.name} ${number} ${payload}`
    return { sent: { stream, number }, value: `${crc32(said).toString(16)} ${said}` }
  }

  /** An acknowledged record; where, if that was told. */
  stored({ stream, number }: Sent, offset: number, nowMs: number): void {
    const entry = stream.entry(number)
    entry.fate = 'stored'
    entry.storedAtMs = nowMs
    if (stream.kind !== 'repeated' && offset >= 0) this.#place(stream, number, offset)
  }

  aborted({ stream, number }: Sent): void {
    const entry = stream.entry(number)
    demand(entry.fate !== 'stored', () => `record ${number} of ${stream.name}, which was visible, is aborted`)
    entry.fate = 'aborted'
  }

  /** Nobody knows how it ended: with all of its records, or with none. */
  undecided(transaction: readonly Sent[]): void {
    this.#transactions.push(transaction)
  }

  /** What a consumer that reads committed got: checked at once against all that is known. */
  saw(place: string, { offset, value }: Found): Sent {
    const text = value.toString('latin1')
    const [checksum, name, number] = text.split(' ', 3) as [string, string, string]
    const where = `${place} at ${offset}`
    const isIntact = crc32(text.slice(checksum.length + 1)).toString(16) === checksum
    demand(isIntact, () => `${where}: not what anybody sent: ${text.slice(0, 100)}`)
    const stream = this.#streams.get(name)
    demand(stream?.place === place, () => `${where}: a record of ${name}`)
    const sent = { stream, number: Number(number) }
    const entry = stream.entry(sent.number)
    demand(entry.fate !== 'aborted', () => `${where}: record ${number} of ${name}, which was aborted, is visible`)
    // What somebody has seen stays, whether its producer was told of it or not.
    if (entry.fate === 'unknown') Object.assign(entry, { fate: 'stored', storedAtMs: performance.now() })
    if (stream.kind !== 'repeated') this.#place(stream, sent.number, offset)
    return sent
  }

  #place(stream: Stream, number: number, offset: number): void {
    const entry = stream.entry(number)
    const isSame = entry.offset === -1 || entry.offset === offset
    demand(isSame, () => `${stream.name}: record ${number} was at ${entry.offset}, now at ${offset}`)
    entry.offset = offset
  }

  /** All that a consumer that reads committed gets of a partition, from its start to its end; returns what is missing. */
  check(place: string, found: readonly Found[]): Loss[] {
    const seen = new Map<Stream, Set<number>>()
    const newest = new Map<Stream, Map<string, number>>()
    for (const stream of this.streams) {
      if (stream.place !== place) continue
      seen.set(stream, new Set())
      newest.set(stream, new Map())
    }
    const lastOf = new Map<Stream, number>()
    for (const record of found) {
      const { stream, number } = this.saw(place, record)
      const numbers = seen.get(stream)!
      // One that is there a second time has been seen in its order.
      if (numbers.has(number) && stream.kind === 'repeated') continue
      const last = lastOf.get(stream) ?? -1
      demand(
        number > last,
        () => `${place} at ${record.offset}: record ${number} of ${stream.name} comes after ${last}`,
      )
      lastOf.set(stream, number)
      numbers.add(number)
      if (record.key !== null) newest.get(stream)!.set(record.key, number)
    }
    const losses: Loss[] = []
    for (const [stream, numbers] of seen) {
      if (stream.kind === 'compacted') losses.push(...missingKeys(stream, newest.get(stream)!))
      else losses.push(...missing(stream, numbers))
    }
    return losses
  }

  /** With the disk what was stored last may be gone: nobody knows where it is when it is sent again. */
  forgetPlaces(): void {
    this.mayHaveLost = true
    for (const { entries } of this.streams) for (const entry of entries) entry.offset = -1
  }

  /** After all partitions were checked. */
  checkTransactions(): void {
    for (const sent of this.#transactions) {
      const visible = sent.filter(({ stream, number }) => stream.entry(number).offset >= 0)
      const isWhole = visible.length === 0 || visible.length === sent.length
      const { stream, number } = sent[0]!
      demand(
        isWhole,
        () => `the transaction with record ${number} of ${stream.name} has ${visible.length} of ${sent.length} records`,
      )
    }
  }
}

/** What is not there is not known to be anywhere, from then on. */
function missing({ name, entries }: Stream, seen: ReadonlySet<number>): Loss[] {
  const losses: Loss[] = []
  for (const [number, entry] of entries.entries()) {
    if (seen.has(number)) continue
    if (entry.fate === 'stored') {
      losses.push({
        what: `record ${number} of ${name}, acknowledged at offset ${entry.offset}`,
        storedAtMs: entry.storedAtMs,
      })
      entry.fate = 'unknown'
    }
    entry.offset = -1
  }
  return losses
}

function missingKeys(stream: Stream, found: ReadonlyMap<string, number>): Loss[] {
  const losses: Loss[] = []
  for (const [key, number] of stream.newest) {
    const is = found.get(key) ?? -1
    if (is >= number) continue
    const { storedAtMs } = stream.entry(number)
    losses.push({ what: `record ${number} of ${stream.name}, the newest of ${key}, where ${is} is`, storedAtMs })
    stream.newest.delete(key)
  }
  return losses
}
