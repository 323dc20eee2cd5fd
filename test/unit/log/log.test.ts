import { describe, expect, it } from 'vitest'
import { encodeState } from '#core/checkpoint.ts'
import { ACCEPTED, DUPLICATE, NO_PARTITION } from '#core/core.ts'
import { LogLab, served } from '#test/support/log-lab.ts'

const FULL = { code: 'DISK_FULL', kind: 'retry' }

async function fillDisk(lab: LogLab): Promise<void> {
  const { totalBytes, freeBytes } = await lab.disk.space()
  lab.disk.capacityBytes = totalBytes - freeBytes
}

describe('the log', () => {
  it('answers a batch with its offset, in the order of sending, and gives it back', async () => {
    const lab = await LogLab.open()
    const { partitions } = await lab.topic('topic', 2)
    const order: number[] = []
    const sends = [0, 1, 0, 0].map(index => {
      const sending = lab.send(lab.batch(partitions[index]!, { recordCount: 5 }))
      void sending.then(({ sent }) => order.push(sent.id))
      return sending
    })
    const appended = await lab.clock.run(Promise.all(sends))
    expect(order).toEqual(appended.map(({ sent }) => sent.id))
    expect(appended.map(({ baseOffset }) => baseOffset)).toEqual([0, 0, 5, 10])
    expect(await lab.readAll(partitions[0]!)).toEqual(served(appended.filter((_, i) => i !== 1)))
    expect(await lab.readAll(partitions[1]!)).toEqual(served([appended[1]!]))
  })

  it('tells each slot of a request its own answer', async () => {
    const lab = await LogLab.open()
    const { partitions } = await lab.topic('topic', 3)
    const answers = new Map<number, number>()
    const ticket = {
      settled: (slot: number, verdict: number) => answers.set(slot, verdict),
      refused: () => expect.fail(),
    }
    const gone = lab.batch({ ...partitions[0]!, ordinal: 99 } as (typeof partitions)[0])
    for (const [slot, sent] of [lab.batch(partitions[0]!), gone, lab.batch(partitions[2]!)].entries()) {
      lab.log.append({ ...sent.entry }, sent.bytes, 0, sent.bytes.length, ticket, 10 + slot)
    }
    await lab.clock.runFor(10)
    expect([...answers]).toEqual([
      [10, ACCEPTED],
      [11, NO_PARTITION],
      [12, ACCEPTED],
    ])
  })

  it('answers before it applies what was staged later, and applies nothing before it is durable', async () => {
    const lab = await LogLab.open({ syncMs: 8 })
    const partition = (await lab.topic('topic')).partitions[0]!
    const sending = lab.send(lab.batch(partition))
    await lab.clock.runFor(6)
    expect(partition.nextOffset).toBe(0)
    await lab.clock.run(sending)
    expect(partition.nextOffset).toBe(1)
  })

  it('takes batches for a topic and its deletion at once, in whatever order they come', async () => {
    const lab = await LogLab.open()
    const topic = await lab.topic('topic')
    const first = lab.send(lab.batch(topic.partitions[0]!))
    const deletion = lab.log.propose({ kind: 'topic-deleted', id: topic.id })
    const last = lab.send(lab.batch(topic.partitions[0]!))
    const [one, outcome, other] = await lab.clock.run(Promise.all([first, deletion, last]))
    expect(outcome).toBe('NONE')
    expect(one.verdict).toBe(ACCEPTED)
    expect([ACCEPTED, NO_PARTITION]).toContain(other.verdict)
    expect(lab.log.state.topics.size).toBe(0)
  })

  it('wakes who waits for a partition once it has more, and nobody else', async () => {
    const lab = await LogLab.open()
    const { partitions } = await lab.topic('topic', 2)
    const woken: string[] = []
    const waiters = ['a', 'b', 'other'].map(name => ({ wake: () => woken.push(name) }))
    lab.log.waiters.waitFor(0, waiters[0]!)
    lab.log.waiters.waitFor(0, waiters[1]!)
    lab.log.waiters.waitFor(1, waiters[2]!)
    await lab.clock.run(Promise.all([0, 0].map(() => lab.send(lab.batch(partitions[0]!)))))
    expect(woken).toEqual(['a', 'b'])
    lab.log.waiters.stop(0, waiters[0]!)
    await lab.append(partitions[0]!)
    expect(woken).toEqual(['a', 'b', 'b'])
  })
})

describe('a restart', () => {
  it.each(['crash', 'kill', 'closeAndOpen'] as const)('by %s finds the same state, byte for byte', async how => {
    let lab = await LogLab.open({ walFileBytes: 4096 })
    await lab.topic('topic', 2)
    for (let life = 0; life < 4; life++) {
      const producer = { id: 5, epoch: 0 }
      for (let i = 0; i < 12; i++) {
        await lab.append(lab.partition(), { recordCount: 2, producer: { ...producer, sequence: (life * 12 + i) * 2 } })
        await lab.append(lab.partition('topic', 1), { sizeBytes: 400 })
      }
      await lab.propose({ kind: 'log-start-moved', ordinal: 1, offset: life * 10 })
      const before = encodeState(lab.log.state)
      lab = await lab[how]()
      expect(encodeState(lab.log.state)).toEqual(before)
      expect(lab.partition().nextOffset).toBe((life + 1) * 24)
    }
  })

  it('answers a retry of what was acknowledged before it with the offset of the first time', async () => {
    const lab = await LogLab.open()
    const partition = (await lab.topic('topic')).partitions[0]!
    const sent = [0, 3, 6].map(sequence =>
      lab.batch(partition, { recordCount: 3, producer: { id: 9, epoch: 2, sequence } }),
    )
    for (const batch of sent) await lab.clock.run(lab.send(batch))
    const again = await lab.crash()
    for (const [i, batch] of sent.entries()) {
      expect(await again.clock.run(again.send(batch))).toMatchObject({ verdict: DUPLICATE, baseOffset: i * 3 })
    }
    const next = again.batch(partition, { recordCount: 3, producer: { id: 9, epoch: 2, sequence: 9 } })
    expect(await again.clock.run(again.send(next))).toMatchObject({ verdict: ACCEPTED, baseOffset: 9 })
  })

  it('refuses to start without a file that has records, and says which', async () => {
    const lab = await LogLab.open({ walFileBytes: 4096 })
    const partition = (await lab.topic('topic')).partitions[0]!
    await lab.appendMany(partition, 40, { sizeBytes: 500 })
    await lab.clock.run(lab.log.close())
    const { position } = lab.log.commits.files.all[1]!
    await lab.clock.run(lab.disk.remove('/data/wal/0000000000000002.wal'))
    const refusal = {
      code: 'WAL_FILE_MISSING',
      kind: 'corrupt',
      message: expect.stringContaining(`position ${position}`),
    }
    await expect(lab.kill()).rejects.toMatchObject(refusal)
  })

  it('uses the checkpoint before a damaged one, and says so', async () => {
    const lab = await LogLab.open({ walFileBytes: 4096 })
    const partition = (await lab.topic('topic')).partitions[0]!
    const appended = await lab.appendMany(partition, 40, { sizeBytes: 500 })
    await lab.clock.runFor(1000)
    const before = encodeState(lab.log.state)
    const newest = lab.disk.paths.findLast(path => path.endsWith('.ckpt'))!
    const bytes = lab.disk.peek(newest)
    bytes[60]! ^= 1
    lab.disk.poke(newest, bytes)
    const again = await lab.crash()
    expect(again.reports).toContainEqual(expect.stringContaining(`${newest} is damaged`))
    expect(encodeState(again.log.state)).toEqual(before)
    expect(await again.readAll(again.partition())).toEqual(served(appended))
  })
})

describe('a full disk', () => {
  it('refuses what does not fit and changes nothing; service is back when there is room, without a restart', async () => {
    const lab = await LogLab.open({ walFileBytes: 4096 })
    const partition = (await lab.topic('topic')).partitions[0]!
    const taken = await lab.appendMany(partition, 3)
    await fillDisk(lab)
    const results: string[] = []
    for (let i = 0; i < 40; i++) {
      await lab.clock.run(
        lab.send(lab.batch(partition, { sizeBytes: 600 })).then(
          appended => {
            results.push('taken')
            taken.push(appended)
          },
          error => {
            expect(error).toMatchObject(FULL)
            results.push('refused')
          },
        ),
      )
    }
    expect(new Set(results)).toEqual(new Set(['taken', 'refused']))
    expect(results.slice(results.indexOf('refused')).includes('taken')).toBe(false)
    const configs = new Map([['too long for the file', 'x'.repeat(5000)]])
    await expect(lab.topic('x', 1, configs)).rejects.toMatchObject(FULL)
    expect(partition.nextOffset).toBe(taken.length)
    expect(lab.log.state.topics.has('x')).toBe(false)

    lab.disk.capacityBytes = Number.POSITIVE_INFINITY
    taken.push(...(await lab.appendMany(partition, 10, { sizeBytes: 600 })))
    expect(await lab.readAll(partition)).toEqual(served(taken))
    expect(lab.failures).toEqual([])
    const again = await lab.crash()
    expect(await again.readAll(again.partition())).toEqual(served(taken))
  })

  it('leaves no gap in the sequences of a producer that sends again', async () => {
    const lab = await LogLab.open({ walFileBytes: 4096 })
    const partition = (await lab.topic('topic')).partitions[0]!
    await lab.append(partition, { sizeBytes: 3000, producer: { id: 1, epoch: 0, sequence: 0 } })
    await fillDisk(lab)
    const sent = [1, 2, 3].map(sequence =>
      lab.batch(partition, { sizeBytes: 1500, producer: { id: 1, epoch: 0, sequence } }),
    )
    const first = await lab.clock.run(Promise.allSettled(sent.map(batch => lab.send(batch))))
    expect(first.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected'])
    lab.disk.capacityBytes = Number.POSITIVE_INFINITY
    const second = await lab.clock.run(Promise.all(sent.map(batch => lab.send(batch))))
    expect(second.map(({ verdict, baseOffset }) => [verdict, baseOffset])).toEqual([
      [ACCEPTED, 1],
      [ACCEPTED, 2],
      [ACCEPTED, 3],
    ])
  })
})

describe('a sync that fails', () => {
  it('ends the log: producers are not answered, changes fail, and the owner is told', async () => {
    const lab = await LogLab.open()
    const partition = (await lab.topic('topic')).partitions[0]!
    lab.disk.onCall = ({ kind, path }) => (kind === 'sync' && path.endsWith('.wal') ? 'EIO' : null)
    let answers = 0
    void lab.send(lab.batch(partition)).then(
      () => answers++,
      () => answers++,
    )
    const ended = { code: 'LOG_FAILED', kind: 'unavailable' }
    const change = { kind: 'producer-ids-allocated', count: 1 } as const
    await expect(lab.propose(change)).rejects.toMatchObject(ended)
    lab.disk.onCall = () => null
    await lab.clock.runFor(10_000)
    expect(lab.failures).toMatchObject([ended])
    expect(answers).toBe(0)
    expect(partition.nextOffset).toBe(0)
    await expect(lab.propose(change)).rejects.toMatchObject(ended)
    await lab.clock.run(lab.log.close())
    expect(lab.disk.openPaths).toEqual([])
  })

  it('of an index or a checkpoint does not: it is tried again', async () => {
    const lab = await LogLab.open({ walFileBytes: 4096 })
    const partition = (await lab.topic('topic')).partitions[0]!
    lab.disk.onCall = ({ kind, path }) => (kind === 'sync' && path.endsWith('.idx.new') ? 'EIO' : null)
    const appended = await lab.appendMany(partition, 30, { sizeBytes: 500 })
    await lab.clock.runFor(1000)
    expect(lab.reports).toContainEqual(expect.stringContaining('log maintenance failed, it is tried again'))
    expect(lab.disk.paths.filter(path => path.endsWith('.ckpt'))).toEqual([])
    lab.disk.onCall = () => null
    await lab.clock.runFor(11_000)
    expect(lab.disk.paths.some(path => path.endsWith('.ckpt'))).toBe(true)
    expect(lab.failures).toEqual([])
    expect(await lab.readAll(partition)).toEqual(served(appended))
  })
})

describe('a log that is being closed', () => {
  it('still takes what somebody proposes who has just been answered, and then nothing more', async () => {
    const lab = await LogLab.open()
    const more = { kind: 'producer-ids-allocated', count: 1000 } as const
    const chained = lab.log.propose(more).then(() => lab.log.propose(more))
    await lab.clock.run(lab.log.close())
    expect(await chained).toBe('NONE')
    await expect(lab.log.propose(more)).rejects.toMatchObject({ code: 'LOG_CLOSED', kind: 'closed' })
    const reopened = await lab.crash()
    expect(reopened.log.state.nextProducerId).toBe(2000)
    expect(reopened.reports.join()).not.toMatch(/torn|damaged/)
  })
})
