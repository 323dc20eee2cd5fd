import { describe, expect, it } from 'vitest'
import { encodeState } from '#core/checkpoint.ts'
import { BrokerFixture } from '#test/support/broker-fixture.ts'

const SMALL_FILES = { walFileBytes: 2 ** 18, maxRequestBytes: 2 ** 17, maxMessageBytes: 2 ** 17, logCacheBytes: 0 }
const BATCH_BYTES = 100_000
/** Two batches fit one file. */
const BATCHES_OF_A_FILE = 2
const RETRY_MS = 10_000

async function fill(fixture: BrokerFixture, topic: string, files: number): Promise<void> {
  await fixture.createTopic(topic)
  const records = [{ value: Buffer.alloc(BATCH_BYTES) }]
  for (let left = files * BATCHES_OF_A_FILE; left > 0; left--) await fixture.append(topic, records)
  await fixture.clock.runFor(1000)
}

function remove(fixture: BrokerFixture, topic: string) {
  return fixture.propose({ kind: 'topic-deleted', id: fixture.partition(topic).topic.id })
}

function filesOf(fixture: BrokerFixture, topic: string): number[] {
  const { extents } = fixture.partition(topic)
  return Array.from({ length: extents.length }, (_, i) => extents.fileAt(i))
}

/** Positions of the files of the log that are there. */
function files(fixture: BrokerFixture): number[] {
  return fixture.broker.log.commits.files.all.map(file => file.position)
}

describe('the maintenance of a log', () => {
  it('takes files away after a restart behind which no file was filled', async () => {
    const first = await BrokerFixture.start(SMALL_FILES)
    await fill(first, 'old', 5)
    await fill(first, 'kept', 2)
    const fixture = await first.restart()
    const old = filesOf(fixture, 'old').slice(0, -1)
    expect(files(fixture)).toEqual(expect.arrayContaining(old))
    await remove(fixture, 'old')
    await fixture.clock.runFor(1000)
    expect(files(fixture).filter(position => old.includes(position))).toEqual([])
    expect(files(fixture)).toEqual(expect.arrayContaining(filesOf(fixture, 'kept')))
  })

  it('takes away at a start what nobody needed any more when the last process ended', async () => {
    const first = await BrokerFixture.start(SMALL_FILES)
    await fill(first, 'old', 5)
    await remove(first, 'old')
    await first.clock.runFor(1000)
    const before = files(first)
    const fixture = await first.restart()
    await fixture.clock.runFor(1000)
    const left = before.filter(position => files(fixture).includes(position))
    expect(left.length).toBeLessThan(before.length)
    expect((await fixture.restart()).state.topics.size).toBe(0)
  })

  it('takes away what is freed while it takes other files away', async () => {
    const fixture = await BrokerFixture.start(SMALL_FILES)
    for (const topic of ['first', 'second', 'behind']) await fill(fixture, topic, 6)
    const [first, second] = [filesOf(fixture, 'first'), filesOf(fixture, 'second').slice(1, -1)]
    await remove(fixture, 'first')
    await fixture.clock.runUntil(() => !files(fixture).includes(first[0]!))
    expect(files(fixture)).toContain(first.at(-2))
    await remove(fixture, 'second')
    expect(files(fixture)).toContain(first.at(-2))
    await fixture.clock.runFor(RETRY_MS / 2)
    expect(files(fixture).filter(position => second.includes(position))).toEqual([])
  })

  it('does not keep files for an old checkpoint when many ended before the next one was written', async () => {
    const fixture = await BrokerFixture.start(SMALL_FILES)
    await fill(fixture, 'before', 2)
    fixture.disk.onCall = ({ kind, path }) => (kind === 'write' && path.includes('/checkpoints/') ? 'ENOSPC' : null)
    await fill(fixture, 'old', 6)
    fixture.disk.onCall = () => null
    await fixture.clock.runFor(2 * RETRY_MS)
    const old = filesOf(fixture, 'old').slice(0, -1)
    await remove(fixture, 'old')
    await fixture.clock.runFor(1000)
    expect(files(fixture).filter(position => old.includes(position))).toEqual([])
  })

  it('comes back for a file that somebody reads', async () => {
    const fixture = await BrokerFixture.start(SMALL_FILES)
    for (const topic of ['read', 'behind']) await fill(fixture, topic, 4)
    const position = filesOf(fixture, 'read')[1]!
    const log = fixture.broker.log.commits.files
    let isReading = true
    const reading = (async () => {
      while (isReading) await log.read(position, 100, new Uint8Array(100), 0)
    })()
    await remove(fixture, 'read')
    await fixture.clock.runFor(1000)
    expect(files(fixture)).toContain(position)
    isReading = false
    await fixture.clock.run(reading)
    await fixture.clock.runFor(RETRY_MS)
    expect(files(fixture)).not.toContain(position)
  })

  it('knows the size and the time of the checkpoint that it started from', async () => {
    const first = await BrokerFixture.start(SMALL_FILES)
    expect(first.broker.log.maintenance.checkpoint).toMatchObject({ position: 0, sizeBytes: 0 })
    await fill(first, 'topic', 3)
    await first.clock.runFor(60_000)
    const closedMs = first.clock.nowMs()
    const fixture = await first.restart()
    await fixture.clock.runFor(60_000)
    const { position, sizeBytes, writtenMs } = fixture.broker.log.maintenance.checkpoint
    expect(position).toBe(fixture.broker.log.commits.files.active.position)
    expect(sizeBytes).toBe(encodeState(fixture.state).length)
    expect(writtenMs - closedMs).toBeGreaterThanOrEqual(0)
    expect(writtenMs - closedMs).toBeLessThan(1000)
  })
})
