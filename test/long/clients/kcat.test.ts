// kcat, as Debian packages it: librdkafka of some years ago, with nothing set but the address.

import { spawn } from 'node:child_process'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { isMissing } from '#test/support/commands.ts'
import { openTarget, type Target, uniqueTopic } from '#test/support/target.ts'
import { WireClient } from '#test/support/wire-client.ts'

const missing = isMissing('kcat') ? 'kcat' : null
const TIMEOUT_MS = 30_000
const CODECS = ['none', 'gzip', 'snappy', 'lz4', 'zstd']
const MIB = 1024 * 1024

interface KcatMessage {
  readonly partition: number
  readonly offset: number
  readonly ts: number
  readonly headers?: readonly string[]
  readonly key: string | null
  readonly payload: string | null
}

describe.skipIf(missing !== null)(`kcat${missing === null ? '' : ' (skipped: it is not installed)'}`, () => {
  let target: Target

  beforeAll(async () => {
    target = await openTarget()
  })
  afterAll(() => target?.close())

  async function kcat(
    args: readonly string[],
    input = '',
  ): Promise<{ code: number | null; stdout: string; stderr: string }> {
    const child = spawn('kcat', ['-b', target.address, ...args], { timeout: TIMEOUT_MS })
    const printed = { stdout: '', stderr: '' }
    child.stdout.setEncoding('utf8').on('data', text => {
      printed.stdout += text
    })
    child.stderr.setEncoding('utf8').on('data', text => {
      printed.stderr += text
    })
    child.stdin.end(input)
    return new Promise((resolve, reject) => {
      child.once('error', reject)
      child.once('close', code => resolve({ code, ...printed }))
    })
  }

  async function produce(topic: string, lines: readonly string[], ...args: string[]): Promise<void> {
    const { code, stderr } = await kcat(
      ['-P', '-t', topic, '-p', '0', ...args],
      lines.map(line => `${line}\n`).join(''),
    )
    expect(code, stderr).toBe(0)
  }

  /** What an assigned partition has from an offset on, to its end. */
  async function consume(topic: string, from = 'beginning', ...args: string[]): Promise<KcatMessage[]> {
    const { code, stdout, stderr } = await kcat(['-C', '-t', topic, '-p', '0', '-o', from, '-e', '-J', ...args])
    expect(code, stderr).toBe(0)
    return stdout
      .split('\n')
      .filter(line => line !== '')
      .map(line => JSON.parse(line) as KcatMessage)
  }

  const payloads = (messages: readonly KcatMessage[]) => messages.map(({ payload }) => payload)

  it.each(CODECS)('returns what was written with the codec %s', async codec => {
    const topic = uniqueTopic(`kcat-${codec}`)
    const lines = Array.from({ length: 200 }, (_, i) => `value-${i} `.repeat(20))
    await produce(topic, lines, '-z', codec)
    const messages = await consume(topic)
    expect(payloads(messages)).toEqual(lines)
    expect(messages.map(({ offset }) => offset)).toEqual(lines.map((_, i) => i))
  })

  it('creates a topic by writing to it, without any setting', async () => {
    const topic = uniqueTopic('kcat-auto')
    const { code, stderr } = await kcat(['-P', '-t', topic], 'hello\n')
    expect(code, stderr).toBe(0)
    expect(payloads(await consume(topic))).toEqual(['hello'])
  })

  it('writes each record once and in order with an idempotent producer', async () => {
    const topic = uniqueTopic('kcat-idempotent')
    const lines = Array.from({ length: 5_000 }, (_, i) => `${i}`)
    await produce(topic, lines, '-X', 'enable.idempotence=true', '-X', 'linger.ms=0')
    expect(payloads(await consume(topic))).toEqual(lines)
  })

  it.each(['0', '1', 'all'])('writes with acks=%s', async acks => {
    const topic = uniqueTopic(`kcat-acks-${acks}`)
    await produce(topic, ['v'], '-X', `acks=${acks}`)
    await expect.poll(async () => payloads(await consume(topic))).toEqual(['v'])
  })

  it('keeps headers, keys and null values', async () => {
    const topic = uniqueTopic('kcat-nulls')
    await produce(topic, ['key:value', 'tombstone:', ':no key'], '-K', ':', '-Z', '-H', 'one=first', '-H', 'one=again')
    const messages = await consume(topic)
    expect(messages.map(({ key, payload }) => [key, payload])).toEqual([
      ['key', 'value'],
      ['tombstone', null],
      [null, 'no key'],
    ])
    expect(messages[0]!.headers).toEqual(['one', 'first', 'one', 'again'])
  })

  it('carries a message just below its own limit', async () => {
    const topic = uniqueTopic('kcat-big')
    const line = 'x'.repeat(999_000)
    await produce(topic, [line])
    expect(payloads(await consume(topic))).toEqual([line])
  })

  it('is told that a message is too large', async () => {
    const topic = uniqueTopic('kcat-too-large')
    const { stderr } = await kcat(
      ['-P', '-t', topic, '-p', '0', '-X', 'message.max.bytes=2000000'],
      'x'.repeat(MIB + 200),
    )
    expect(stderr).toContain('Message size too large')
  })

  it('reads from the beginning, from an offset, from the tail and from a time', async () => {
    const topic = uniqueTopic('kcat-seek')
    await produce(topic, ['a', 'b', 'c'])
    const [a, b] = await consume(topic)
    expect(payloads(await consume(topic, '1'))).toEqual(['b', 'c'])
    expect(payloads(await consume(topic, '-1'))).toEqual(['c'])
    expect(payloads(await consume(topic, `s@${a!.ts}`))).toEqual(['a', 'b', 'c'])
    const { stdout } = await kcat(['-Q', '-t', `${topic}:0:${b!.ts + 3_600_000}`])
    // Nothing is that young: the answer is the end.
    expect(stdout.trim()).toBe(`${topic} [0] offset -1`)
  })

  it('gets a new record in a fetch that waits for it', async () => {
    const topic = uniqueTopic('kcat-long-poll')
    await produce(topic, ['old'])
    const waiting = kcat([
      '-C',
      '-t',
      topic,
      '-p',
      '0',
      '-o',
      '1',
      '-c',
      '1',
      '-X',
      'fetch.wait.max.ms=60000',
      '-X',
      'socket.timeout.ms=90000',
    ])
    await produce(topic, ['new'])
    expect((await waiting).stdout).toBe('new\n')
  }, 20_000)

  it('reads all partitions of a topic', async () => {
    const topic = uniqueTopic('kcat-partitions')
    const wire = await WireClient.connect(target)
    const wanted = { name: topic, numPartitions: 8, replicationFactor: 1, assignments: [], configs: [] }
    await wire.send('CreateTopics', 5, { topics: [wanted], timeoutMs: 5_000 })
    wire.close()
    const lines = Array.from({ length: 400 }, (_, i) => `key-${i}:${i}`)
    await expect.poll(async () => (await kcat(['-P', '-t', topic, '-K', ':'], lines.join('\n'))).code).toBe(0)
    const { stdout } = await kcat(['-C', '-t', topic, '-o', 'beginning', '-e', '-f', '%p %s\n'])
    const read = stdout
      .trim()
      .split('\n')
      .map(line => line.split(' '))
    expect(new Set(read.map(([partition]) => partition)).size).toBe(8)
    expect(read.map(([, value]) => Number(value)).sort((a, b) => a - b)).toEqual(lines.map((_, i) => i))
  })

  it('lists the broker and the topics', async () => {
    const topic = uniqueTopic('kcat-list')
    await produce(topic, ['v'])
    const { code, stdout } = await kcat(['-L', '-J'])
    expect(code).toBe(0)
    const listed = JSON.parse(stdout) as {
      brokers: { name: string }[]
      topics: { topic: string; partitions: { partition: number; leader: number; isrs: unknown[] }[] }[]
    }
    expect(listed.brokers.map(({ name }) => name)).toEqual([target.address])
    const { partitions } = listed.topics.find(of => of.topic === topic)!
    expect(partitions.map(({ partition, isrs }) => [partition, isrs.length])).toEqual([[0, 1]])
  })
})
