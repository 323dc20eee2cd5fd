// Thousands of damaged requests, on many connections, to a broker in a process of its own. Each is answered as its API and
// version say, or its connection is closed with one line in the log; and the broker goes on as if nothing had been.

import { readFile } from 'node:fs/promises'
import { ByteReader } from '#bytes/cursor.ts'
import { decodeResponse } from '#kafka/protocol/protocol.ts'
import { readPartition } from '#test/crash/reading.ts'
import { buildBatch } from '#test/support/batch-builder.ts'
import { type BrokerProcess, startBrokerProcess } from '#test/support/broker-process.ts'
import { Prng } from '#test/support/sim/prng.ts'
import { ConnectionClosed, requestFrame, WireClient } from '#test/support/wire-client.ts'
import { wireMessages } from '#test/support/wire-messages.ts'
import { Cast } from './cast.ts'
import { mutate, waitsLong } from './mutations.ts'
import { isOnlyRefused, type Known, RequestMaker, type Served, served, servedAs } from './requests.ts'

export interface FuzzFigures {
  /** Read by the broker: answered, or the reason why a connection was closed. */
  requests: number
  answered: number
  closed: number
  largestRssBytes: number
  /** By members that the damaged requests were about. */
  commits: number
}

/** Small limits: what is kept in spite of them shows. */
export const ENVIRONMENT = {
  CHRONIK_WAL_FILE_BYTES: '4MiB',
  CHRONIK_LOG_CACHE_BYTES: '16MiB',
  CHRONIK_MAX_INFLIGHT_BYTES: '32MiB',
  CHRONIK_MAX_INFLIGHT_BYTES_PER_CONNECTION: '8MiB',
  CHRONIK_MAX_REQUEST_BYTES: '16MiB',
  CHRONIK_MAX_DECOMPRESSED_BYTES: '8MiB',
  CHRONIK_MAX_MESSAGE_BYTES: '8MiB',
  CHRONIK_MAX_PARTITIONS: '1000',
  CHRONIK_MAX_GROUPS: '500',
  CHRONIK_GROUP_MAX_SIZE: '200',
  CHRONIK_GROUP_CONSUMER_MAX_SIZE: '200',
  CHRONIK_GROUP_INITIAL_REBALANCE_DELAY_MS: '0',
}
/** Of the process at rest, and all of the above together, and what a garbage collector leaves lying about. */
export const RSS_LIMIT_BYTES = 450 << 20

const WORKERS = 3
const REQUESTS_PER_CONNECTION = 12
const REQUESTS_PER_ROUND = 1000
const LAST_CORRELATION_ID = 0x5e17e1
const ANSWER_DEADLINE_MS = 10_000
const LONG_WAIT_MS = 50
const KEPT = 'kept'
const TOPICS = ['orders', 'payments', 'clicks', 'a.b', 'empty']
const API_VERSIONS_KEY = 18
const PRODUCE_KEY = 0
const SIZE_BYTES = 4

export async function rssBytes({ pid }: { readonly pid: number }): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]) * 1024
}

export async function fuzz(options: { seed: number; requests: number }): Promise<FuzzFigures> {
  const figures: FuzzFigures = { requests: 0, answered: 0, closed: 0, largestRssBytes: 0, commits: 0 }
  let broker = await startBrokerProcess({ environment: ENVIRONMENT })
  const { dataDir } = broker
  try {
    const client = await WireClient.connect(broker.kafka)
    const kept = await keepRecords(client)
    const cast = await Cast.open(broker)
    const known = await knownBy(client, cast, figures)
    const workers = Array.from({ length: WORKERS }, (_, i) => new Fuzzer(broker, options.seed * WORKERS + i, known))
    while (figures.requests < options.requests) {
      await Promise.all(workers.map(worker => worker.round(REQUESTS_PER_ROUND / WORKERS, figures)))
      Object.assign(known, await knownBy(client, cast, figures))
      await mustBeWell(broker, figures)
    }
    client.close()
    cast.close()
    mustHaveLogged(broker.output(), figures.closed)
    await broker.kill9()
    broker = await startBrokerProcess({ dataDir, environment: ENVIRONMENT })
    await mustBeSound(broker, kept)
  } catch (thrown) {
    throw new Error(`seed ${options.seed}: ${tail(broker.output())}`, { cause: thrown })
  } finally {
    await broker.remove()
  }
  return figures
}

class Fuzzer {
  readonly #broker: BrokerProcess
  readonly #prng: Prng
  readonly #maker: RequestMaker
  #correlationId = 0
  #next = 0

  constructor(broker: BrokerProcess, seed: number, known: ConstructorParameters<typeof RequestMaker>[1]) {
    this.#broker = broker
    this.#prng = new Prng(seed)
    this.#maker = new RequestMaker(this.#prng.fork(), known)
    this.#next = this.#prng.between(0, served.length - 1)
  }

  async round(requests: number, figures: FuzzFigures): Promise<void> {
    for (let left = requests; left > 0; ) {
      const frames = Array.from({ length: Math.min(left, REQUESTS_PER_CONNECTION) }, () => this.#frame())
      const { answered, closed } = await converse(this.#broker, frames)
      const read = answered + (closed ? 1 : 0)
      figures.requests += read
      figures.answered += answered
      figures.closed += closed ? 1 : 0
      left -= Math.max(1, read)
    }
  }

  /** APIs and versions in turn, so that all have their share. */
  #frame(): Buffer {
    for (;;) {
      const frame = this.#valid(served[this.#next++ % served.length]!)
      // Some stay as they are: what they do to the broker is what the damaged ones meet.
      if (this.#prng.chance(0.1)) return frame
      const damaged = mutate(frame, this.#prng, this.#valid(this.#prng.pick(served)))
      if (damaged.length > SIZE_BYTES && !waitsLong(damaged, LONG_WAIT_MS)) return damaged
    }
  }

  #valid(which: Served): Buffer {
    return this.#maker.frame(which, ++this.#correlationId)
  }
}

/**
 * Sends the frames in one go, and a good request behind them. Returns how many were answered, or needed no answer, and whether
 * the broker hung up on the next. Throws if neither comes.
 */
async function converse(broker: BrokerProcess, frames: readonly Buffer[]) {
  const client = await WireClient.connect(broker.kafka)
  const last = requestFrame(wireMessages.ApiVersions.request, 0, LAST_CORRELATION_ID, {})
  let answered = 0
  try {
    client.sendRaw(Buffer.concat([...frames, last]))
    for (;;) {
      const answer = await client.receive(ANSWER_DEADLINE_MS)
      const correlationId = answer.readInt32BE(0)
      if (correlationId === LAST_CORRELATION_ID) return { answered: frames.length, closed: false }
      // A produce request with acks=0 has no answer.
      while (answered < frames.length && isUnanswered(frames[answered]!, correlationId)) answered++
      const frame = frames[answered]
      if (frame === undefined) throw new Error(`an answer with correlation id ${correlationId}, which nobody sent`)
      mustBeDecodable(frame, answer)
      answered++
    }
  } catch (thrown) {
    if (thrown instanceof ConnectionClosed) return { answered, closed: true }
    const sent = frames.slice(answered, answered + 2).map(frame => frame.toString('hex', 0, 400))
    throw new Error(`behind ${answered} answers, to ${sent.join(' or ')}`, { cause: thrown })
  } finally {
    client.close()
  }
}

function isUnanswered(frame: Buffer, correlationId: number): boolean {
  return frame.readInt16BE(SIZE_BYTES) === PRODUCE_KEY && frame.readInt32BE(SIZE_BYTES + 4) !== correlationId
}

function mustBeDecodable(frame: Buffer, answer: Buffer): void {
  const apiKey = frame.readInt16BE(SIZE_BYTES)
  const version = frame.readInt16BE(SIZE_BYTES + 2)
  if (isOnlyRefused(apiKey, version)) return
  const api = servedAs(apiKey, version) ?? (apiKey === API_VERSIONS_KEY ? servedAs(apiKey, 0) : undefined)
  if (api === undefined) throw new Error(`api key ${apiKey} in version ${version} was answered`)
  const reader = new ByteReader(answer)
  const { correlationId } = decodeResponse(api.response, servedAs(apiKey, version) === undefined ? 0 : version, reader)
  if (correlationId !== frame.readInt32BE(SIZE_BYTES + 4))
    throw new Error(`an answer of ${api.name} to another request`)
  if (reader.remaining > 0) throw new Error(`${reader.remaining} bytes behind an answer of ${api.name}`)
}

// ---- the broker must be well

export async function mustAnswer(broker: BrokerProcess): Promise<void> {
  const client = await WireClient.connect(broker.kafka)
  await client.send('ApiVersions', 3, { clientSoftwareName: 'fuzz', clientSoftwareVersion: '1' })
  client.close()
}

async function mustBeWell(broker: BrokerProcess, figures: FuzzFigures): Promise<void> {
  await mustAnswer(broker)
  figures.largestRssBytes = Math.max(figures.largestRssBytes, await rssBytes(broker))
  if (figures.largestRssBytes > RSS_LIMIT_BYTES) throw new Error(`${figures.largestRssBytes} bytes of memory`)
}

/** One line per connection that was closed, and not one about a bug. */
function mustHaveLogged(output: string, closed: number): void {
  const failure = /.*("level":"(error|fatal)"|a request failed).*/.exec(output)
  if (failure !== null) throw new Error(`in the log: ${failure[0]}`)
  const lines = output.match(/"msg":"connection closed"/g)?.length ?? 0
  if (lines !== closed) throw new Error(`${lines} lines about ${closed} closed connections`)
}

function tail(output: string): string {
  return output.slice(-4000)
}

async function knownBy(client: WireClient, cast: Cast, figures: FuzzFigures): Promise<Known> {
  const ids = await topicIds(client)
  figures.commits += await cast.play(TOPICS[0]!)
  const { groups, memberIds, generations } = cast
  return { topics: TOPICS, topicIds: ids, groups, memberIds, generations }
}

async function topicIds(client: WireClient): Promise<string[]> {
  await client.send('Metadata', 9, { topics: TOPICS.map(name => ({ name })) })
  const { topics } = await client.send('Metadata', 12, { topics: null })
  return topics.filter(({ name }) => name !== KEPT).map(({ topicId }) => topicId)
}

// ---- the records must be sound

interface Kept {
  readonly partition: { readonly topic: string; readonly index: number }
  readonly records: string
  /** What a group that nobody knows of has committed. */
  readonly committed: string
}

/** Records and offsets that nothing of what follows is about, safe from changed defaults. */
async function keepRecords(client: WireClient): Promise<Kept> {
  const configs = [
    { name: 'retention.ms', value: '-1' },
    { name: 'retention.bytes', value: '-1' },
    { name: 'cleanup.policy', value: 'delete' },
  ]
  const topic = { name: KEPT, numPartitions: 1, replicationFactor: 1, assignments: [], configs }
  await client.send('CreateTopics', 7, { topics: [topic] })
  for (let i = 0; i < 20; i++) {
    const records = buildBatch([{ value: `kept ${i}` }], { baseTimestampMs: 1_700_000_000_000 })
    const topicData = [{ name: KEPT, partitionData: [{ index: 0, records }] }]
    await client.send('Produce', 9, { acks: -1, timeoutMs: 1000, topicData })
  }
  const partitions = [{ partitionIndex: 0, committedOffset: 7, committedLeaderEpoch: 0, committedMetadata: 'kept' }]
  const nobody = { generationIdOrMemberEpoch: -1, memberId: '' }
  await client.send('OffsetCommit', 8, { groupId: KEPT, ...nobody, topics: [{ name: KEPT, partitions }] })
  return read(client, { topic: KEPT, index: 0 })
}

async function read(client: WireClient, partition: { topic: string; index: number }): Promise<Kept> {
  const records = JSON.stringify(await readPartition(client, partition, 0))
  const { topics } = await client.send('OffsetFetch', 7, { groupId: KEPT, topics: null })
  return { partition, records, committed: JSON.stringify(topics) }
}

async function mustBeSound(broker: BrokerProcess, kept: Kept): Promise<void> {
  const client = await WireClient.connect(broker.kafka)
  const { records, committed } = await read(client, kept.partition)
  if (records !== kept.records) throw new Error(`the records are ${records}, not ${kept.records}`)
  if (committed !== kept.committed || !committed.includes('"committedOffset":7')) {
    throw new Error(`committed is ${committed}, not ${kept.committed}`)
  }
  const { topics } = await client.send('Metadata', 12, { topics: null })
  for (const topic of topics) {
    for (const { partitionIndex } of topic.partitions) {
      const { logStart, watermark, batches } = await readPartition(
        client,
        { topic: topic.name!, index: partitionIndex },
        0,
      )
      let next = batches[0]?.baseOffset ?? watermark
      if (next > logStart) throw new Error(`${topic.name}-${partitionIndex} starts at ${next}, not ${logStart}`)
      for (const { baseOffset, recordCount } of batches) {
        if (baseOffset !== next) throw new Error(`${topic.name}-${partitionIndex}: ${baseOffset} follows ${next}`)
        next += recordCount
      }
    }
  }
  client.close()
}
