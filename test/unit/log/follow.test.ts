import { describe, expect, it } from 'vitest'
import { followAccepted, type LogEvent } from '#log/follow.ts'
import { LogLab } from '#test/support/log-lab.ts'
import { TierLab } from '#test/support/tier-lab.ts'

/** Follows until nothing more comes within a while. */
async function eventsFrom(lab: LogLab, position: number): Promise<LogEvent[]> {
  const events: LogEvent[] = []
  const ending = new AbortController()
  const following = (async () => {
    for await (const event of followAccepted(lab.log, position, ending.signal)) events.push(event)
  })()
  await lab.clock.runFor(500)
  ending.abort()
  await lab.clock.run(following)
  return events
}

const batchesOf = (events: LogEvent[]) => events.filter(event => event.kind === 'batch')
const offsetsOf = (events: LogEvent[]) => batchesOf(events).map(({ baseOffset }) => baseOffset)

describe('a follower', () => {
  it('sees everything accepted, in order, with where its bytes are', async () => {
    const lab = await LogLab.open()
    await lab.topic('topic', 2)
    const first = await lab.append(lab.partition('topic', 1), { recordCount: 3, timestampMs: 77 })
    await lab.propose({ kind: 'log-start-moved', ordinal: 1, offset: 2 })
    await lab.propose({ kind: 'producer-ids-allocated', count: 1 })
    await lab.append(lab.partition())
    const events = await eventsFrom(lab, 0)
    expect(events).toMatchObject([
      { kind: 'topic', change: { kind: 'topic-created', name: 'topic', partitionCount: 2 } },
      { kind: 'batch', topicId: 'id-of-topic', partition: 1, baseOffset: 0, recordCount: 3, maxTimestampMs: 77 },
      { kind: 'log-start', topicId: 'id-of-topic', partition: 1, offset: 2 },
      { kind: 'batch', partition: 0, baseOffset: 0, recordCount: 1 },
    ])
    const [batch] = batchesOf(events)
    const bytes = Buffer.alloc(batch!.sizeBytes)
    await lab.clock.run(lab.log.commits.files.read(batch!.batchPosition, bytes.length, bytes, 0))
    expect(bytes).toEqual(first.sent.bytes)
  })

  it('sees what is appended while it waits, and ends when it is told to', async () => {
    const lab = await LogLab.open()
    const partition = (await lab.topic('topic')).partitions[0]!
    const ending = new AbortController()
    const seen: number[] = []
    let hasEnded = false
    const following = (async () => {
      for await (const event of followAccepted(lab.log, 0, ending.signal)) {
        if (event.kind === 'batch') seen.push(event.baseOffset)
      }
      hasEnded = true
    })()
    for (let i = 0; i < 3; i++) {
      await lab.append(partition)
      await lab.clock.runFor(10)
      expect(seen).toHaveLength(i + 1)
    }
    expect(hasEnded).toBe(false)
    ending.abort()
    await lab.clock.run(following)
  })

  it('does not see what was turned away, before a restart or after it', async () => {
    const lab = await LogLab.open()
    const partition = (await lab.topic('topic')).partitions[0]!
    const sent = lab.batch(partition, { producer: { id: 1, epoch: 0, sequence: 0 } })
    await lab.clock.run(lab.send(sent))
    await lab.clock.run(lab.send(sent))
    await lab.append(partition)
    expect(offsetsOf(await eventsFrom(lab, 0))).toEqual([0, 1])
    const again = await lab.closeAndOpen()
    // Now the retry is in a file that has no index yet, in which the partition has nothing else.
    await again.clock.run(again.send(sent))
    expect(offsetsOf(await eventsFrom(again, 0))).toEqual([0, 1])
  })

  it('goes on where it was, over restarts and many files', async () => {
    let lab = await LogLab.open({ walFileBytes: 4096 })
    await lab.topic('topic')
    let position = 0
    const seen: number[] = []
    for (let life = 0; life < 4; life++) {
      await lab.appendMany(lab.partition(), 20, { sizeBytes: 500 })
      const events = await eventsFrom(lab, position)
      seen.push(...offsetsOf(events))
      position = events.at(-1)!.nextPosition
      lab = life % 2 === 0 ? await lab.crash() : await lab.closeAndOpen()
    }
    expect(seen).toEqual(Array.from({ length: 80 }, (_, i) => i))
    expect(await eventsFrom(lab, position)).toEqual([])
  })

  it('passes what retention took away, also while it was reading it', async () => {
    const lab = await LogLab.open({ walFileBytes: 4096 })
    const partition = (await lab.topic('topic')).partitions[0]!
    await lab.appendMany(partition, 60, { sizeBytes: 500 })
    const seen: number[] = []
    const ending = new AbortController()
    const following = (async () => {
      for await (const event of followAccepted(lab.log, 0, ending.signal)) {
        if (event.kind === 'batch') seen.push(event.baseOffset)
        // Slower than what takes the files away.
        await new Promise<void>(resolve => lab.clock.after(5, resolve))
      }
    })()
    await lab.propose({ kind: 'log-start-moved', ordinal: 0, offset: 50 })
    await lab.clock.runFor(15_000)
    ending.abort()
    await lab.clock.run(following)
    // A file goes as a whole: some of what is gone lies in one that is kept, and is passed too.
    const { baseOffset } = partition.extents.at(0)
    expect(baseOffset).toBeLessThan(50)
    expect(seen.filter(offset => offset >= baseOffset)).toEqual([50, 51, 52, 53, 54, 55, 56, 57, 58, 59])
    expect(seen).toEqual([...seen].sort((a, b) => a - b))
  })

  it('that comes when files are gone is told which offsets it has to read elsewhere', async () => {
    const lab = await TierLab.open({ walFileBytes: 4096 })
    await lab.lab.topic('topic', 3)
    const [gone, half, kept] = lab.log.state.topics.get('topic')!.partitions
    await lab.appendMany(gone!, 20, { sizeBytes: 500 })
    await lab.appendMany(half!, 20, { sizeBytes: 500 })
    await lab.appendMany(kept!, 20, { sizeBytes: 500 })
    await lab.appendMany(half!, 5, { sizeBytes: 500 })
    const before = await eventsFrom(lab.lab, 0)
    await lab.lab.propose({ kind: 'log-start-moved', ordinal: gone!.ordinal, offset: 7 })
    await lab.sealAll(gone!)
    await lab.seal([half!], { maxBytes: 20 * 500 })
    await lab.clock.runFor(1000)
    const [gap, ...behind] = await eventsFrom(lab.lab, 0)
    const firstHalf = batchesOf(behind).find(({ partition }) => partition === 1)
    expect(gap).toEqual({
      kind: 'gap',
      nextPosition: lab.log.commits.files.all[0]!.position,
      missed: [
        { topicId: 'id-of-topic', partition: 0, startOffset: 7, endOffset: 20 },
        { topicId: 'id-of-topic', partition: 1, startOffset: 0, endOffset: 20 },
      ],
    })
    expect(firstHalf!.baseOffset).toBeLessThanOrEqual(20)
    // Everything is either behind the gap, or among what is named.
    for (const { partition, baseOffset } of batchesOf(before)) {
      const isTold = batchesOf(behind).some(event => event.partition === partition && event.baseOffset === baseOffset)
      const missed = gap?.kind === 'gap' ? gap.missed.find(part => part.partition === partition) : undefined
      const isNamed = missed !== undefined && baseOffset >= missed.startOffset && baseOffset < missed.endOffset
      expect(isTold || isNamed || (partition === 0 && baseOffset < 7)).toBe(true)
    }
    const position = behind.at(-1)!.nextPosition
    expect(await eventsFrom(lab.lab, position)).toEqual([])
  })

  it('of a file that holds a header and nothing else passes it', async () => {
    const lab = await LogLab.open()
    await lab.topic('topic')
    await lab.clock.run(lab.log.close())
    const again = await lab.crash()
    // The first group of the new file is torn behind the file's header.
    void again.send(again.batch(again.partition())).catch(() => {})
    again.disk.onCall = ({ kind, path }) => (kind === 'sync' && path.endsWith('.wal') ? 'die' : null)
    await again.clock.runUntil(() => again.disk.isDead)
    const disk = again.disk.kill()
    const path = disk.paths.findLast(
      name => name.endsWith('.wal') && disk.peek(name).subarray(64, 68).toString() === 'CHGR',
    )!
    disk.poke(path, Buffer.concat([disk.peek(path).subarray(0, 64), Buffer.alloc(1000)]))
    again.clock.forgetAll()
    const last = await LogLab.on(disk, again.clock)
    await last.append(last.partition())
    expect(offsetsOf(await eventsFrom(last, 0))).toEqual([0])
  })
})
