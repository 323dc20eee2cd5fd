// Random requests that a broker can read, of every API and version it serves: written from the schemas, with names, ids and
// record batches that mean something to the broker as often as not.

import { handlers } from '#kafka/handlers/handlers.ts'
import { PRODUCE_VERSIONS } from '#kafka/produce.ts'
import { type Api, apis, type Message } from '#kafka/protocol/protocol.ts'
import { type AnyField, type Fields, includes } from '#kafka/protocol/schema.ts'
import { buildBatch, type Codec } from '#test/support/batch-builder.ts'
import type { Prng } from '#test/support/sim/prng.ts'
import { requestFrame } from '#test/support/wire-client.ts'

const PRODUCE_KEY = 0

export interface Served {
  readonly api: Api
  readonly version: number
}

/** Every version of every API that is served. The oldest of Produce are only refused, and there are no schemas of them. */
export const served: readonly Served[] = [...apis.values()].flatMap(api => {
  const versions = api.key === PRODUCE_KEY ? PRODUCE_VERSIONS : handlers.get(api.key)?.versions
  if (versions === undefined) return []
  const min = Math.max(versions.min, api.request.versions.min)
  return Array.from({ length: versions.max - min + 1 }, (_, i) => ({ api, version: min + i }))
})

export function isOnlyRefused(apiKey: number, version: number): boolean {
  const oldest = apis.get(apiKey)?.request.versions.min ?? 0
  return apiKey === PRODUCE_KEY && version >= PRODUCE_VERSIONS.min && version < oldest
}

export function servedAs(apiKey: number, version: number): Api | undefined {
  return served.find(({ api, version: candidate }) => api.key === apiKey && candidate === version)?.api
}

/** What exists on the broker that is fuzzed. */
export interface Known {
  readonly topics: readonly string[]
  readonly topicIds: readonly string[]
  readonly groups: readonly string[]
  /** Of members that are there, or were a moment ago. */
  readonly memberIds: readonly string[]
  readonly generations: readonly number[]
}

const CONFIG_NAMES = [
  'retention.ms',
  'max.message.bytes',
  'cleanup.policy',
  'compression.type',
  'log.retention.ms',
  'x',
]
const NUMBERS = [-1, 0, 1, 2, 3, 100, 32767, 2 ** 31 - 1, -(2 ** 31)]
const SHORT_WAIT_MS = 5
/** Whoever waits for others to join waits no longer. */
export const REBALANCE_TIMEOUT_MS = 20
export const SESSION_TIMEOUT_MS = 6_000
export const PROTOCOLS = ['range', 'sticky']
export const INSTANCE_IDS = ['instance-1', 'instance-2']
const MEMBER_EPOCHS = [-2, -1, 0, 1, 2, 3]
const PATTERNS = ['.*', 'o.*', '(', '(a*)*b', '[a-z]{1000}', 'x'.repeat(1000), '\\p{L}+', '(?i)ORDERS']
const TRANSACTIONAL_IDS = ['transaction-1', 'transaction-2', 'transaction-3']
const TRANSACTION_TIMEOUTS_MS = [1, 100, 60_000]

export class RequestMaker {
  readonly #prng: Prng
  readonly #known: Known
  readonly #batches: readonly Buffer[]

  constructor(prng: Prng, known: Known) {
    this.#prng = prng
    this.#known = known
    this.#batches = Array.from({ length: 50 }, () => this.#batch())
  }

  /** Size, header and body. */
  frame({ api, version }: Served, correlationId: number): Buffer {
    return requestFrame(api.request, version, correlationId, this.#body(api.request, version))
  }

  #body(message: Message, version: number): object {
    return this.#struct(message.fields, version)
  }

  #struct(fields: Fields, version: number): Record<string, unknown> {
    return Object.fromEntries(Object.entries(fields).map(([name, field]) => [name, this.#value(name, field, version)]))
  }

  #value(name: string, field: AnyField, version: number): unknown {
    const { shape, versions, nullable, fallback } = field.spec
    if (!includes(versions, version)) return fallback
    if (includes(nullable, version) && this.#prng.chance(0.15)) return null
    const meant = this.#prng.chance(0.85) ? this.#meant(name, shape.kind) : undefined
    if (meant !== undefined) return meant
    switch (shape.kind) {
      case 'struct':
        return this.#struct(shape.fields, version)
      case 'array':
        return Array.from({ length: this.#prng.between(0, 3) }, () => this.#value(name, shape.of, version))
      case 'bool':
        return this.#prng.chance(0.5)
      case 'int8':
        return this.#prng.chance(0.8) ? this.#prng.between(0, 4) : this.#prng.between(-128, 127)
      case 'int16':
        return this.#prng.chance(0.8) ? this.#prng.between(-1, 3) : this.#prng.between(-32768, 32767)
      case 'uint16':
        return this.#prng.between(0, 65535)
      case 'int32':
        return name === 'maxWaitMs' ? this.#prng.between(-1, SHORT_WAIT_MS) : this.#integer()
      case 'int64':
        return this.#prng.chance(0.9) ? this.#integer() : Number.MAX_SAFE_INTEGER
      case 'float64':
        return this.#prng.fraction()
      case 'string':
        return this.#text(name)
      case 'bytes':
        return Buffer.alloc(this.#prng.between(0, 20), 1)
      case 'records':
        return this.#records()
      case 'uuid':
        return this.#prng.chance(0.7) ? this.#prng.pick(this.#known.topicIds) : ''
    }
  }

  /** A value that a broker with groups and transactions understands where a field of this name stands, if there is any. */
  #meant(name: string, kind: string): string | number | null | undefined {
    const isText = kind === 'string'
    switch (name) {
      case 'groupId':
      case 'groupsNames':
      case 'key':
      case 'coordinatorKeys':
        return isText ? this.#prng.pick(this.#known.groups) : undefined
      case 'groups':
      case 'groupIds':
        return isText ? this.#prng.pick(this.#known.groups) : undefined
      case 'memberId':
        return this.#prng.chance(0.6) ? this.#prng.pick(this.#known.memberIds) : ''
      case 'generationId':
      case 'generationIdOrMemberEpoch':
        return this.#prng.pick([-1, ...this.#known.generations])
      case 'memberEpoch':
        return this.#prng.pick(MEMBER_EPOCHS)
      case 'subscribedTopicRegex':
        return this.#prng.pick([null, ...PATTERNS])
      case 'instanceId':
      case 'groupInstanceId':
        return this.#prng.chance(0.6) ? null : this.#prng.pick(INSTANCE_IDS)
      case 'protocolType':
        return 'consumer'
      case 'protocolName':
        return this.#prng.pick(PROTOCOLS)
      case 'sessionTimeoutMs':
        return SESSION_TIMEOUT_MS
      case 'rebalanceTimeoutMs':
        return this.#prng.between(-1, REBALANCE_TIMEOUT_MS)
      case 'transactionalId':
      case 'transactionalIds':
        return isText ? this.#prng.pick(TRANSACTIONAL_IDS) : undefined
      case 'transactionTimeoutMs':
        return this.#prng.pick(TRANSACTION_TIMEOUTS_MS)
      default:
        return undefined
    }
  }

  #integer(): number {
    return this.#prng.chance(0.7) ? this.#prng.between(-1, 4) : this.#prng.pick(NUMBERS)
  }

  #text(name: string): string {
    const turn = this.#prng.fraction()
    if (turn < 0.6) return this.#prng.pick(this.#known.topics)
    if (turn < 0.7) return this.#prng.pick(CONFIG_NAMES)
    if (turn < 0.8) return `${this.#integer()}`
    if (turn < 0.9) return `fuzz-${name}-${this.#prng.between(0, 200)}`
    return this.#prng.pick(['', '.', '..', 'ü', '\u0000', 'a'.repeat(300), '\ud83d\ude00'])
  }

  #records(): Buffer {
    const turn = this.#prng.fraction()
    if (turn < 0.1) return Buffer.alloc(this.#prng.between(0, 100), 7)
    const batch = this.#prng.pick(this.#batches)
    return turn < 0.9 ? batch : Buffer.concat([batch, this.#prng.pick(this.#batches)])
  }

  #batch(): Buffer {
    const codec = this.#prng.pick<Codec>(['none', 'gzip', 'snappy', 'lz4', 'zstd'])
    const records = Array.from({ length: this.#prng.between(1, 10) }, (_, i) => ({
      key: this.#prng.chance(0.5) ? `key ${i}` : null,
      value: 'x'.repeat(this.#prng.between(0, 300)),
      headers: this.#prng.chance(0.2) ? ([['name', 'value']] as const) : [],
    }))
    const isIdempotent = this.#prng.chance(0.3)
    const producer = { producerId: this.#prng.between(0, 3), producerEpoch: 0, baseSequence: this.#prng.between(0, 9) }
    return buildBatch(records, { codec, baseTimestampMs: 1_700_000_000_000, ...(isIdempotent ? producer : {}) })
  }
}
