// A bucket that fails, in each of the ways in which buckets do, as clients and operators meet it: nothing acknowledged is lost, who
// cannot be served is told so in time and why, and all is well again without a restart when the bucket is.

import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { errorName } from '#kafka/protocol/protocol.ts'
import { buildBatch } from '#test/support/batch-builder.ts'
import { readBatches, recordsOf } from '#test/support/batch-reader.ts'
import {
  type BrokerProcess,
  COMMAND_PATH,
  environmentWithoutSettings,
  freePorts,
  startBrokerProcess,
} from '#test/support/broker-process.ts'
import { runToEnd } from '#test/support/command-line.ts'
import { type ChooseFault, type FaultProxy, type ProxyFault, startFaultProxy } from '#test/support/fault-proxy.ts'
import { scrape } from '#test/support/metrics-page.ts'
import { type SmallS3, startSmallS3 } from '#test/support/small-s3.ts'
import { temporaryDirectory } from '#test/support/temporary.ts'
import { until } from '#test/support/until.ts'
import { WireClient } from '#test/support/wire-client.ts'

const TOPIC = 'orders'
const RECORD_BYTES = 10_000
const HEALS_WITHIN_MS = 60_000
/** Sealed at once, and never read from memory. */
const HASTY = {
  ...{ CHRONIK_SEAL_MAX_MS: '200', CHRONIK_LOG_CACHE_BYTES: '0', CHRONIK_WAL_FILE_BYTES: '262144' },
  CHRONIK_CACHE_BYTES: '67108864',
}
/** Goes on acknowledging however long the bucket is away. */
const ON_ITS_OWN = { CHRONIK_TAKEOVER_AFTER_MS: '-1' }
const DENIED: ProxyFault = {
  kind: 'answer',
  status: 403,
  body: '<Error><Code>AccessDenied</Code></Error>',
  type: 'application/xml',
}
const MISSING: ProxyFault = { ...DENIED, status: 404, body: '<Error><Code>NoSuchKey</Code></Error>' }
const isSegment = (path: string) => path.includes('/segments/')

function environmentOf(endpoint: string, { bucket, credentials }: SmallS3): Record<string, string> {
  return {
    ...{ STORAGE_BACKEND: 's3', S3_BUCKET: bucket, S3_ENDPOINT: endpoint },
    ...{ AWS_ACCESS_KEY_ID: credentials.accessKeyId, AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey },
  }
}

/** A broker, its bucket, and what is between them. */
class Scene {
  readonly s3: SmallS3
  readonly #proxy: FaultProxy
  readonly #dataDir: string
  readonly #environment: Record<string, string>
  broker!: BrokerProcess
  wire!: WireClient

  private constructor(s3: SmallS3, proxy: FaultProxy, dataDir: string, environment: Record<string, string>) {
    this.s3 = s3
    this.#proxy = proxy
    this.#dataDir = dataDir
    this.#environment = { ...HASTY, ...environment, ...environmentOf(proxy.endpoint, s3) }
  }

  static async begin(environment: Record<string, string> = {}): Promise<Scene> {
    const s3 = await startSmallS3()
    const proxy = await startFaultProxy(s3.endpoint)
    onTestFinished(async () => {
      await proxy.close()
      await s3.close()
    })
    const scene = new Scene(s3, proxy, await temporaryDirectory(), environment)
    await scene.restart()
    const topics = [{ name: TOPIC, numPartitions: 2, replicationFactor: 1, assignments: [], configs: [] }]
    await scene.wire.send('CreateTopics', 7, { topics, timeoutMs: 5000 })
    return scene
  }

  async restart(): Promise<void> {
    const broker = await startBrokerProcess({ dataDir: this.#dataDir, environment: this.#environment })
    onTestFinished(() => broker.remove())
    this.broker = broker
    await this.connect()
    // It listens for clients first.
    await until('its metrics', () => this.ready().then(Boolean, () => false))
  }

  async connect(): Promise<void> {
    this.wire = await WireClient.connect(this.broker.kafka)
  }

  /** What is in the bucket is there alone from now on. */
  async restartCold(): Promise<void> {
    await this.broker.kill9()
    await rm(join(this.#dataDir, 'cache'), { recursive: true, force: true })
    await this.restart()
  }

  /** Null: all is well. */
  faults(choose: ChooseFault | null): void {
    this.#proxy.onRequest = choose ?? (() => null)
  }

  async produce(value: string, partition = 0): Promise<string> {
    const records = buildBatch([{ value: value.padEnd(RECORD_BYTES, '.') }])
    const topicData = [{ name: TOPIC, partitionData: [{ index: partition, records }] }]
    const answer = await this.wire.send('Produce', 9, { acks: -1, timeoutMs: 5000, topicData })
    return errorName(answer.responses[0]!.partitionResponses[0]!.errorCode)
  }

  async produceAll(values: readonly string[], partition = 0): Promise<void> {
    for (const value of values) expect(await this.produce(value, partition)).toBe('NONE')
  }

  /** Of each partition the values from its begin on, as far as they come in one answer, or an error. */
  async fetch(partitions: readonly number[]): Promise<(string | string[])[]> {
    const wanted = partitions.map(partition => ({ partition, fetchOffset: 0, partitionMaxBytes: 1 << 20 }))
    const topics = [{ topic: TOPIC, partitions: wanted }]
    const { responses } = await this.wire.send('Fetch', 11, { maxWaitMs: 0, minBytes: 1, maxBytes: 8 << 20, topics })
    const answers = responses[0]!.partitions.toSorted((a, b) => a.partitionIndex - b.partitionIndex)
    return answers.map(({ errorCode, records }) => {
      if (errorCode !== 0) return errorName(errorCode)
      const found = readBatches(records).flatMap(recordsOf)
      return found.map(({ value }) => `${value}`.replace(/\.*$/, ''))
    })
  }

  /** What comes at an offset, in so long that nobody waits in vain. */
  async next(fetchOffset: number): Promise<string[]> {
    const partitions = [{ partition: 0, fetchOffset, partitionMaxBytes: 1 << 20 }]
    const topics = [{ topic: TOPIC, partitions }]
    const { responses } = await this.wire.send('Fetch', 11, {
      maxWaitMs: 25_000,
      minBytes: 1,
      maxBytes: 8 << 20,
      topics,
    })
    return readBatches(responses[0]!.partitions[0]!.records)
      .flatMap(recordsOf)
      .map(({ value }) => `${value}`.replace(/\.*$/, ''))
  }

  async latestOffset(): Promise<number> {
    const topics = [{ name: TOPIC, partitions: [{ partitionIndex: 0, timestamp: -1 }] }]
    const { topics: answers } = await this.wire.send('ListOffsets', 5, { topics })
    return answers[0]!.partitions[0]!.offset
  }

  async commitOffset(committedOffset: number): Promise<void> {
    const partitions = [{ partitionIndex: 0, committedOffset, committedLeaderEpoch: -1, committedMetadata: '' }]
    const member = { groupId: 'readers', generationIdOrMemberEpoch: -1, memberId: '' }
    await this.wire.send('OffsetCommit', 8, { ...member, topics: [{ name: TOPIC, partitions }] })
  }

  async committedOffset(): Promise<number> {
    const topics = [{ name: TOPIC, partitionIndexes: [0] }]
    const { topics: answers } = await this.wire.send('OffsetFetch', 5, { groupId: 'readers', topics })
    return answers![0]!.partitions[0]!.committedOffset
  }

  async deleteRecords(offset: number): Promise<string> {
    const topics = [{ name: TOPIC, partitions: [{ partitionIndex: 0, offset }] }]
    const { topics: answers } = await this.wire.send('DeleteRecords', 2, { topics, timeoutMs: 5000 })
    return errorName(answers[0]!.partitions[0]!.errorCode)
  }

  async untilSealed(): Promise<void> {
    await until('all is sealed', async () => (await this.metric('chronik_unsealed_bytes')) === 0, HEALS_WITHIN_MS)
  }

  /** What it prints comes another way than what it answers. */
  async untilLogged(text: RegExp): Promise<void> {
    await until(`${text} is logged`, () => text.test(this.broker.output()))
  }

  async metric(name: string): Promise<number> {
    return (await scrape({ host: this.broker.kafka.host, port: this.broker.metricsPort })).get(name) ?? 0
  }

  async ready(): Promise<{ status: number; text: string }> {
    const answer = await fetch(`http://${this.broker.kafka.host}:${this.broker.metricsPort}/health/ready`)
    return { status: answer.status, text: await answer.text() }
  }

  /** Keys of segments. */
  get segments(): string[] {
    return [...this.s3.objects.keys()].filter(key => key.startsWith('segments/'))
  }
}

const numbered = (count: number, from = 0) => Array.from({ length: count }, (_, i) => `value-${from + i}`)

async function took<T>(work: Promise<T>): Promise<{ value: T; ms: number }> {
  const beganMs = performance.now()
  const value = await work
  return { value, ms: performance.now() - beganMs }
}

describe('a bucket that does not answer', () => {
  it('delays nobody who does not need it, and others are told in time', async () => {
    const scene = await Scene.begin(ON_ITS_OWN)
    await scene.produceAll(numbered(20))
    await scene.untilSealed()
    await scene.restartCold()
    scene.faults(() => ({ kind: 'hang' }))
    await scene.produceAll(numbered(5, 100), 1)

    const both = await took(scene.fetch([0, 1]))
    expect(both.value[1]).toEqual(numbered(5, 100))
    expect(both.ms).toBeLessThan(5000)
    const archived = took(scene.fetch([0]))
    const other = await WireClient.connect(scene.broker.kafka)
    onTestFinished(() => other.close())
    const archivedWire = scene.wire
    scene.wire = other
    for (let i = 0; i < 20; i++) {
      const live = await took(scene.fetch([1]))
      expect(live.value).toEqual([numbered(5, 100)])
      expect(live.ms).toBeLessThan(1000)
    }
    scene.wire = archivedWire
    const { value, ms } = await archived
    expect(value).toEqual(['KAFKA_STORAGE_ERROR'])
    expect(ms).toBeLessThan(20_000)
    await until('the log names it', () => scene.broker.output().includes(scene.segments[0]!))

    scene.faults(null)
    await until('it is read', async () => (await scene.fetch([0]))[0]?.length === 20, HEALS_WITHIN_MS)
    expect(await scene.fetch([0, 1])).toEqual([numbered(20), numbered(5, 100)])
  })

  it('lets producers be refused, for a while, when the write-ahead log is full', async () => {
    const scene = await Scene.begin({ ...ON_ITS_OWN, CHRONIK_WAL_LIMIT_BYTES: '4194304' })
    await scene.produceAll(['value-0'])
    await scene.untilSealed()
    scene.faults(() => ({ kind: 'reset' }))
    let count = 1
    for (let verdict = 'NONE'; verdict === 'NONE'; ) {
      verdict = await scene.produce(`value-${count}`)
      if (verdict === 'NONE') count++
      else expect(verdict).toBe('KAFKA_STORAGE_ERROR')
      expect(count).toBeLessThan(1000)
    }
    expect(count).toBeGreaterThan(100)
    // Again and again, and nothing of it is taken.
    for (let i = 0; i < 5; i++) expect(await scene.produce('refused')).toBe('KAFKA_STORAGE_ERROR')
    await until('it is told', async () => (await scene.ready()).text.includes('the object store s3:'))
    const { status, text } = await scene.ready()
    expect(status).toBe(503)
    expect(text).toContain('the write-ahead log has no more room within 4194304 bytes')
    expect(text).toMatch(/the object store \S+ fails since \S+, for \d+ s/)
    expect(text).toMatch(/read as far as they are on this machine/)
    expect(await allOf(scene, 1)).toEqual(numbered(count - 1, 1))

    scene.faults(null)
    await until('records are taken', async () => (await scene.produce(`value-${count}`)) === 'NONE', HEALS_WITHIN_MS)
    await scene.untilSealed()
    expect(await allOf(scene)).toEqual(numbered(count + 1))
    await until('it is ready', async () => (await scene.ready()).status === 200)
    expect((await scene.ready()).text).not.toContain('object store')
    await scene.restartCold()
    expect(await allOf(scene)).toEqual(numbered(count + 1))
  })

  it('stops acknowledging when somebody else could take over, and goes on when it is back', async () => {
    const scene = await Scene.begin({ CHRONIK_TAKEOVER_AFTER_MS: '2000' })
    await scene.produceAll(['value-0'])
    scene.faults(() => ({ kind: 'hang' }))
    await until('it is told', async () => (await scene.ready()).text.includes('nothing is acknowledged'))
    expect((await scene.ready()).status).toBe(503)
    const held = scene.produce('value-1')
    const isHeld = await Promise.race([held, new Promise(resolve => setTimeout(resolve, 1000, 'held'))])
    expect(isHeld).toBe('held')
    // Nobody sees what may turn out never to have been. The first connection waits for its answer.
    await scene.connect()
    expect(await allOf(scene)).toEqual(['value-0'])
    expect(await scene.latestOffset()).toBe(1)
    const waiting = scene.next(1)
    // Nor an offset that was committed, or what somebody else has asked for in vain until now.
    await scene.connect()
    void scene.commitOffset(1)
    await scene.connect()
    const committed = scene.committedOffset()
    await scene.connect()
    void scene.deleteRecords(1)
    await scene.connect()
    const deleted = scene.deleteRecords(1)
    const first = await Promise.race([
      waiting,
      committed,
      deleted,
      new Promise(resolve => setTimeout(resolve, 1000, 'held')),
    ])
    expect(first).toBe('held')
    scene.faults(null)
    expect([await held, await committed, await deleted]).toEqual(['NONE', 1, 'NONE'])
    expect(await waiting).toEqual(['value-1'])
    await scene.produceAll(['value-2'])
    expect(await allOf(scene, 1)).toEqual(numbered(2, 1))
  })
})

/** Everything in partition 0, from an offset on. */
async function allOf(scene: Scene, from = 0): Promise<string[]> {
  const values: string[] = []
  for (let fetchOffset = from; ; ) {
    const partitions = [{ partition: 0, fetchOffset, partitionMaxBytes: 1 << 20 }]
    const body = { maxWaitMs: 0, minBytes: 1, maxBytes: 8 << 20, topics: [{ topic: TOPIC, partitions }] }
    const answer = (await scene.wire.send('Fetch', 11, body)).responses[0]!.partitions[0]!
    expect(errorName(answer.errorCode)).toBe('NONE')
    const found = readBatches(answer.records).flatMap(recordsOf)
    if (found.length === 0) return values
    values.push(...found.map(({ value }) => `${value}`.replace(/\.*$/, '')))
    fetchOffset = found.at(-1)!.offset + 1
  }
}

describe('an object of a bucket', () => {
  const half = (bytes: Buffer) => bytes.subarray(0, bytes.length >> 1)
  const altered = (bytes: Buffer) => {
    const other = Buffer.from(bytes)
    other[1000]! ^= 1
    return other
  }
  it.each([
    ['that is missing', null],
    ['that was cut off', half],
    ['of which a bit was altered', altered],
    ['of which nothing is right', (bytes: Buffer) => Buffer.alloc(bytes.length)],
  ])('%s is named, nothing of it is handed out, and it is read when it is put back', async (_, damage) => {
    const scene = await Scene.begin()
    await scene.produceAll(numbered(5))
    await scene.untilSealed()
    await scene.restartCold()
    const originals = scene.segments.map(key => [key, scene.s3.objects.get(key)!] as const)
    for (const [key, object] of originals) {
      if (damage === null) scene.s3.objects.delete(key)
      else scene.s3.objects.set(key, { ...object, bytes: damage(object.bytes) })
    }
    const { value, ms } = await took(scene.fetch([0]))
    expect(value).toEqual(['KAFKA_STORAGE_ERROR'])
    expect(ms).toBeLessThan(15_000)
    const isNamed = () => originals.some(([key]) => scene.broker.output().includes(`the segment ${key} is damaged`))
    const isMissed = () => originals.some(([key]) => scene.broker.output().includes(`there is no object ${key}`))
    await until('the log names it', damage === null ? isMissed : isNamed)
    // Others are served.
    await scene.produceAll(['value-100'], 1)
    expect(await scene.fetch([1])).toEqual([['value-100']])
    for (const [key, object] of originals) scene.s3.objects.set(key, object)
    expect(await allOf(scene)).toEqual(numbered(5))
  })

  it('that was written and is not to be seen yet is read when it is', async () => {
    const scene = await Scene.begin()
    scene.faults(({ method, path }) => (method === 'GET' && isSegment(path) ? MISSING : null))
    await scene.produceAll(numbered(5))
    await scene.untilSealed()
    await scene.restartCold()
    expect(await scene.fetch([0])).toEqual(['KAFKA_STORAGE_ERROR'])
    scene.faults(null)
    expect(await allOf(scene)).toEqual(numbered(5))
  })

  it('that was written though nobody said so is written once, and each record is there once', async () => {
    const scene = await Scene.begin()
    let lost = 0
    scene.faults(({ method, path }) => {
      const isLost = method === 'PUT' && isSegment(path) && lost < 3
      if (isLost) lost++
      return isLost ? { kind: 'lose' } : null
    })
    await scene.produceAll(numbered(5))
    await scene.untilSealed()
    expect(lost).toBe(3)
    const places = new Set(scene.segments)
    await scene.restartCold()
    expect(await allOf(scene)).toEqual(numbered(5))
    expect(new Set(scene.segments)).toEqual(places)
    expect(await scene.metric('chronik_orphan_objects_found_total')).toBe(0)
  })
})

describe('a broker that is stopped while its bucket does not answer', () => {
  it('ends in time, says what it leaves, and has it when it is started again', async () => {
    const scene = await Scene.begin({ CHRONIK_SEAL_MAX_MS: '60000', CHRONIK_DRAIN_MS: '1000' })
    await scene.produceAll(numbered(5))
    scene.faults(() => ({ kind: 'hang' }))
    await scene.broker.stop()
    expect(scene.broker.output()).toMatch(/\d+ bytes stay unsealed in the write-ahead log/)
    scene.faults(null)
    await scene.restart()
    expect(await allOf(scene)).toEqual(numbered(5))
  })

  it('ends in time, too, when it may not answer any more', async () => {
    const scene = await Scene.begin({ CHRONIK_TAKEOVER_AFTER_MS: '2000', CHRONIK_DRAIN_MS: '1000' })
    await scene.produceAll(['value-0'])
    // Only what says whose bucket it is: segments are written, and what tells of them waits like everything else.
    scene.faults(({ path }) => (isSegment(path) ? null : { kind: 'hang' }))
    await until('it is told', async () => (await scene.ready()).text.includes('nothing is acknowledged'))
    void scene.produce('value-1').catch(() => {})
    await scene.connect()
    void scene.deleteRecords(1).catch(() => {})
    await new Promise(resolve => setTimeout(resolve, 500))
    await scene.broker.stop()
    scene.faults(null)
    await scene.restart()
    expect(await allOf(scene, 1)).toEqual(numbered(1, 1))
  })
})

describe('a bucket whose rights were taken away', () => {
  it('costs nobody anything that is acknowledged, is told, and is used when they are given back', async () => {
    const scene = await Scene.begin(ON_ITS_OWN)
    await scene.produceAll(['value-0'])
    await scene.untilSealed()
    scene.faults(({ method }) => (method === 'PUT' ? DENIED : null))
    await scene.produceAll(['value-1'])
    const isTold = async () => (await scene.ready()).text.includes('nothing could be sealed')
    await until('it is told', isTold)
    expect((await scene.ready()).status).toBe(200)
    await scene.untilLogged(/sealing failed, it is tried again: .*no right/)
    scene.faults(null)
    await scene.untilSealed()
    expect(await allOf(scene)).toEqual(numbered(2))
    expect(await isTold()).toBe(false)
  })
})

describe('a bucket that is gone while a broker uses it', () => {
  it('costs nobody anything that is acknowledged, is told, and is used when it is there again', async () => {
    const scene = await Scene.begin(ON_ITS_OWN)
    await scene.produceAll(numbered(5))
    await scene.untilSealed()
    scene.s3.hasBucket = false
    await scene.produceAll(numbered(5, 5))
    await until('that nothing is sealed', async () => (await scene.ready()).text.includes('nothing could be sealed'))
    await until('that the store fails', async () =>
      (await scene.ready()).text.includes('the object store s3://small-bucket fails since'),
    )
    expect((await scene.ready()).status).toBe(200)
    await scene.untilLogged(/sealing failed, it is tried again: there is no bucket small-bucket/)
    expect(await allOf(scene)).toEqual(numbered(10))

    scene.s3.hasBucket = true
    await scene.untilSealed()
    await until('it is not told', async () => !(await scene.ready()).text.includes('object store'))
    await scene.restartCold()
    expect(await allOf(scene)).toEqual(numbered(10))
  })
})

describe('a broker is not started, and says why in one line,', () => {
  async function refusal(change: Record<string, string>, fault: ChooseFault = () => null): Promise<string> {
    const s3 = await startSmallS3()
    const proxy = await startFaultProxy(s3.endpoint)
    proxy.onRequest = fault
    onTestFinished(async () => {
      await proxy.close()
      await s3.close()
    })
    const environment = { ...environmentWithoutSettings(), ...environmentOf(proxy.endpoint, s3), ...change }
    const ports = ['--kafka-port', '0', '--metrics-port', '0', '--bind-addr', '127.0.0.1', '--log-level', 'fatal']
    const argv = [COMMAND_PATH, 'start', '--data-dir', await temporaryDirectory(), ...ports]
    const { code, stderr } = await runToEnd(process.execPath, argv, { env: environment })
    expect(code).toBe(1)
    expect(stderr.trimEnd().split('\n')).toHaveLength(1)
    return stderr.trimEnd()
  }

  it('with an access key that nobody knows', async () => {
    expect(await refusal({ AWS_ACCESS_KEY_ID: 'NOBODY' })).toMatch(/^chronik: cannot write to .*AWS_ACCESS_KEY_ID/)
  })

  it('with a bucket that is not there', async () => {
    expect(await refusal({ S3_BUCKET: 'nowhere' })).toMatch(/^chronik: cannot write to .*there is no bucket nowhere/)
  })

  it('with a bucket that it may not write to', async () => {
    const readOnly: ChooseFault = ({ method }) => (method === 'PUT' ? DENIED : null)
    expect(await refusal({}, readOnly)).toMatch(/^chronik: cannot write to .*let it read, write, list and delete there/)
  })

  it('with a bucket that nobody answers for', async () => {
    const [port] = await freePorts(1)
    const said = await refusal({ S3_ENDPOINT: `http://127.0.0.1:${port}` })
    expect(said).toMatch(/^chronik: cannot write to .*nobody listens there: check S3_ENDPOINT .*tried \d+ times/)
  })
})
