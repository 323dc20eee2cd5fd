import { ChronikError, writtenByNewer } from '#base/errors.ts'
import { hexadecimal } from '#base/numbers.ts'
import { crc32c } from '#bytes/crc32c.kernel.ts'
import { GENERATION_PREFIX, generationKey, OWNER_KEY } from './archive-names.ts'

// Who owns a store, as JSON: for people, too, who look into a bucket. docs/formats/owner.md shows the fields.

const FORMAT = 1

/** Who may write since when: created once for each generation, and never changed. */
export interface GenerationFile {
  readonly generation: number
  /** Of the data directory. */
  readonly ownerId: string
  readonly host: string
  /** Tells who created it from others who tried: the answer may be lost. */
  readonly attempt: string
  readonly begunMs: number
}

export type Durability = 'local' | 'bucket'

/** The owner while it lives: written again and again. */
export interface OwnerFile {
  readonly generation: number
  readonly ownerId: string
  readonly host: string
  readonly clusterId: string
  /** Of the process. */
  readonly session: string
  readonly writtenMs: number
  /** It stops answering when it could not write for so long; -1: it never does. */
  readonly takeoverAfterMs: number
  readonly durability: Durability
  /** What is deleted is kept for so long: `chronik restore --at` goes back no further. */
  readonly restoreWindowMs: number
  readonly phase: 'running' | 'stopped'
  /** Everything up to here is in the store; when it has stopped, there is nothing else. -1: nothing. */
  readonly archivedTo: number
}

export function encodeGenerationFile(file: GenerationFile): Buffer {
  const { generation, ownerId, host, attempt, begunMs } = file
  return toJson('generation', { generation, ownerId, host, attempt, begun: new Date(begunMs).toISOString() })
}

export function decodeGenerationFile(key: string, bytes: Buffer): GenerationFile {
  const fields = fromJson('generation', key, bytes)
  return {
    generation: fields.number('generation'),
    ownerId: fields.text('ownerId'),
    host: fields.text('host'),
    attempt: fields.text('attempt'),
    begunMs: fields.time('begun'),
  }
}

export function encodeOwnerFile(file: OwnerFile): Buffer {
  const { generation, ownerId, host, clusterId, session, writtenMs, phase, archivedTo } = file
  const { takeoverAfterMs, durability, restoreWindowMs } = file
  const who = { generation, ownerId, host, clusterId, session, written: new Date(writtenMs).toISOString() }
  return toJson('owner', { ...who, takeoverAfterMs, durability, restoreWindowMs, phase, archivedTo })
}

export function decodeOwnerFile(bytes: Buffer): OwnerFile {
  const fields = fromJson('owner', OWNER_KEY, bytes)
  return {
    generation: fields.number('generation'),
    ownerId: fields.text('ownerId'),
    host: fields.text('host'),
    clusterId: fields.text('clusterId'),
    session: fields.text('session'),
    writtenMs: fields.time('written'),
    takeoverAfterMs: fields.number('takeoverAfterMs'),
    durability: fields.text('durability') === 'bucket' ? 'bucket' : 'local',
    restoreWindowMs: fields.number('restoreWindowMs'),
    phase: fields.text('phase') === 'stopped' ? 'stopped' : 'running',
    archivedTo: fields.number('archivedTo'),
  }
}

type Kind = 'generation' | 'owner'

function toJson(chronik: Kind, fields: Record<string, unknown>): Buffer {
  const checked = { chronik, format: FORMAT, ...fields }
  return Buffer.from(`${JSON.stringify({ ...checked, crc32c: checksumOf(checked) }, null, 2)}\n`)
}

/** Of the fields in their order, however they are laid out. */
function checksumOf(fields: Record<string, unknown>): string {
  const bytes = Buffer.from(JSON.stringify(fields))
  return hexadecimal(crc32c(bytes, 0, bytes.length))
}

class Fields {
  readonly #key: string
  readonly #values: Record<string, unknown>

  constructor(key: string, values: Record<string, unknown>) {
    this.#key = key
    this.#values = values
  }

  number(name: string): number {
    const value = this.#values[name]
    if (typeof value !== 'number' || !Number.isSafeInteger(value)) throw damaged(this.#key, `${name} is no number`)
    return value
  }

  text(name: string): string {
    const value = this.#values[name]
    if (typeof value !== 'string') throw damaged(this.#key, `${name} is no text`)
    return value
  }

  time(name: string): number {
    const timeMs = Date.parse(this.text(name))
    if (Number.isNaN(timeMs)) throw damaged(this.#key, `${name} is no time`)
    return timeMs
  }
}

function fromJson(kind: Kind, key: string, bytes: Buffer): Fields {
  let values: unknown
  try {
    values = JSON.parse(bytes.toString())
  } catch (cause) {
    throw damaged(key, 'it is no JSON', { cause })
  }
  if (typeof values !== 'object' || values === null) throw damaged(key, 'it has no fields')
  const { crc32c: checksum, ...checked } = values as Record<string, unknown>
  if (checksum !== checksumOf(checked)) throw damaged(key, 'its checksum is of something else')
  const fields = new Fields(key, checked)
  if (fields.text('chronik') !== kind) throw damaged(key, `it is no ${kind}`)
  const format = fields.number('format')
  if (format <= FORMAT) return fields
  throw writtenByNewer('OWNER_TOO_NEW', key, { found: format, known: FORMAT })
}

function damaged(key: string, what: string, options?: { cause?: unknown }): ChronikError {
  const advice = `the newest of ${GENERATION_PREFIX} says who owns the store; put ${key} back, or start its owner with --take-over`
  return new ChronikError('OWNER_DAMAGED', 'corrupt', `${key} cannot be read: ${what}. ${advice}`, options)
}

/** For people. */
export function describeOwner({
  generation,
  ownerId,
  host,
}: Pick<OwnerFile, 'generation' | 'ownerId' | 'host'>): string {
  return `data directory ${ownerId} on ${host} (generation ${generation}, ${generationKey(generation)})`
}
