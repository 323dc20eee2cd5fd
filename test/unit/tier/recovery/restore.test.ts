import { describe, expect, it } from 'vitest'
import { ACCEPTED, DUPLICATE, OUT_OF_ORDER } from '#core/core.ts'
import { endOfEpoch } from '#core/leader-epochs.ts'
import type { LogLab } from '#test/support/log-lab.ts'
import { RecoveryLab } from '#test/support/recovery-lab.ts'

const DAY_MS = 86_400_000
const claim = {
  kind: 'transactional-id-claimed',
  timeoutMs: 60_000,
  fromProducerId: -1,
  fromEpoch: -1,
  isNamed: false,
  epoch: 0,
} as const

describe('chronik restore --at', () => {
  /** A record a second, sealed now and then, in segments that have records of before and after the time. */
  async function history() {
    const lab = new RecoveryLab()
    const first = await lab.machine()
    await first.start({ restoreWindowMs: DAY_MS, checkpointRecords: 5 })
    const { lab: log } = first.running
    await log.topic('topic')
    const moments: { atMs: number; content: string[] }[] = []
    for (let i = 0; i < 40; i++) {
      await log.append(log.partition(), { recordCount: 2 })
      moments.push({ atMs: lab.clock.nowMs(), content: await first.content(log.partition()) })
      await lab.clock.runFor(1000)
      if (i % 7 === 6) await first.seal([log.partition()])
    }
    return { lab, first, moments }
  }

  it('brings back any moment, exactly', async () => {
    for (const index of [0, 3, 6, 7, 20, 33, 39]) {
      const { lab, first, moments } = await history()
      await first.stop()
      const second = await lab.machine()
      const { atMs, content } = moments[index]!
      await second.restore({ atMs })
      await second.start({ restoreWindowMs: DAY_MS })
      expect(await second.content(second.running.lab.partition())).toEqual(content)
      expect(second.running.lab.partition().leaderEpoch).toBe(1)
      await second.running.lab.append(second.running.lab.partition())
    }
  })

  it('can go forth again after it went back: what was is still there', async () => {
    const { lab, first, moments } = await history()
    await first.stop()
    const second = await lab.machine()
    await second.restore({ atMs: moments[5]!.atMs })
    await second.start({ restoreWindowMs: DAY_MS })
    expect(second.running.lab.partition().leaderEpoch).toBe(1)
    await second.running.lab.append(second.running.lab.partition())
    await second.stop()
    const third = await lab.machine()
    await third.restore({ atMs: moments[30]!.atMs })
    await third.start({ restoreWindowMs: DAY_MS })
    expect(await third.content(third.running.lab.partition())).toEqual(moments[30]!.content)
    // Who has read what the second one wrote finds out.
    expect(third.running.lab.partition().leaderEpoch).toBe(2)
  })

  it('says what it would bring back, and changes nothing, while the owner goes on', async () => {
    const { lab, first, moments } = await history()
    await lab.clock.runFor(3000)
    const before = lab.keys
    const second = await lab.machine()
    const plan = await second.lookAtRestore({ atMs: moments[10]!.atMs })
    expect(plan.state.topics.get('topic')?.partitions[0]?.nextOffset).toBe(22)
    expect(plan.mended.lostRecords).toBe(0)
    expect(lab.keys).toEqual(before)
    expect(second.disk.paths).toEqual([])
    await first.running.lab.append(first.running.lab.partition())
  })

  it('is refused before the window, with the earliest time', async () => {
    const lab = new RecoveryLab()
    const first = await lab.machine()
    const beganMs = lab.clock.nowMs()
    await lab.clock.runFor(5000)
    await first.start()
    const second = await lab.machine()
    const looking = second.lookAtRestore({ atMs: beganMs })
    await expect(looking).rejects.toThrow(/can be restored to 2026-01-01T00:00:05\.\d+Z or later/)
  })

  /** A record a minute, each in a segment. */
  async function sealedHistory(windowMs: number) {
    const lab = new RecoveryLab()
    const first = await lab.machine()
    await first.start({ restoreWindowMs: windowMs, checkpointRecords: 1 })
    const { lab: log } = first.running
    await log.topic('topic')
    const segments: { key: string; atMs: number }[] = []
    for (let i = 0; i < 20; i++) {
      await log.append(log.partition())
      await first.seal([log.partition()])
      segments.push({ key: lab.keys.findLast(key => key.startsWith('segments/'))!, atMs: lab.clock.nowMs() })
      await lab.clock.runFor(60_000)
    }
    return { lab, first, log, segments }
  }

  it('is refused between the checkpoint that the window begins with and the window', async () => {
    for (const windowMs of [0, 600_000]) {
      const { lab, first, segments } = await sealedHistory(windowMs)
      await first.stop()
      const endMs = lab.clock.nowMs()
      // Nobody deletes anything meanwhile.
      await lab.clock.runFor(3 * DAY_MS)
      const second = await lab.machine()
      const beginMs = endMs - windowMs
      const earliest = new RegExp(`can be restored to ${new Date(beginMs).toISOString().slice(0, 20)}`)
      await expect(second.restore({ atMs: beginMs - 2000 })).rejects.toThrow(earliest)
      await expect(second.lookAtRestore({ atMs: beginMs - 2000 })).rejects.toThrow(earliest)
      const plan = await second.lookAtRestore({ atMs: beginMs + 1000 })
      const count = segments.filter(({ atMs }) => atMs <= beginMs + 1000).length
      expect(plan.state.topics.get('topic')?.partitions[0]?.nextOffset).toBe(count)
    }
  })

  it('is refused when a segment of that time is gone, because less was kept then', async () => {
    const { lab, first, segments } = await sealedHistory(DAY_MS)
    await first.stop()
    const { atMs, key } = segments[5]!
    lab.bucket.remove(key)
    lab.bucket.remove(segments[4]!.key)
    const second = await lab.machine()
    const refusal = { code: 'RESTORE_LOSES_RECORDS', message: expect.stringContaining('segments/') }
    await expect(second.lookAtRestore({ atMs })).rejects.toMatchObject(refusal)
    expect((await second.lookAtRestore({ atMs, acceptsLoss: true })).damage.map(({ what }) => what).sort()).toEqual(
      [key, segments[4]!.key].sort(),
    )
    expect((await second.lookAtRestore({ atMs: segments[3]!.atMs })).damage).toEqual([])
  })

  it('is refused into a directory that has a log, and where an owner lives', async () => {
    const { lab, first, moments } = await history()
    const second = await lab.machine()
    const wish = { atMs: moments[3]!.atMs }
    await expect(second.restore(wish)).rejects.toMatchObject({ code: 'STORE_HAS_OWNER' })
    await first.stop()
    await expect(first.restore(wish)).rejects.toMatchObject({ code: 'DATA_DIRECTORY_NOT_EMPTY' })
  })
})

describe('what is lost with the last moments', () => {
  it('is cut off where records are missing, with who has produced them, and a new leader begins there', async () => {
    const lab = new RecoveryLab()
    const first = await lab.machine()
    // No copies of what is in no segment.
    await first.start({ tailUploadMs: 0 })
    const { lab: log } = first.running
    await log.topic('topic')
    for (let i = 0; i < 3; i++) await log.append(log.partition(), { producer: { id: 1, epoch: 0, sequence: i } })
    await log.append(log.partition(), { producer: { id: 2, epoch: 0, sequence: 0 } })
    await first.seal([log.partition()])
    await log.append(log.partition(), { producer: { id: 1, epoch: 0, sequence: 3 } })
    await lab.clock.runFor(2000)
    first.kill()
    await lab.clock.runFor(12_000)
    const second = await lab.machine()
    await second.start({ tailUploadMs: 0 })
    const partition = second.running.lab.partition()
    expect(partition.nextOffset).toBe(4)
    expect([...partition.producers!.keys()]).toEqual([1, 2])
    expect(endOfEpoch(partition, 0)).toEqual({ epoch: 0, endOffset: 4 })
    const { baseOffset } = await second.running.lab.append(partition)
    expect(baseOffset).toBe(4)
    expect(endOfEpoch(partition, 1)).toEqual({ epoch: 1, endOffset: 5 })
  })

  it('is not sent again by an idempotent producer, which goes on behind it, and what it sends again is recognised', async () => {
    const lab = new RecoveryLab()
    const first = await lab.machine()
    await first.start({ tailUploadMs: 0 })
    const { lab: log } = first.running
    await log.topic('topic')
    const send = (to: LogLab, id: number, sequence: number) =>
      to.clock.run(to.send(to.batch(to.partition(), { producer: { id, epoch: 0, sequence } })))
    for (let i = 0; i < 3; i++) await send(log, 1, i)
    await send(log, 2, 0)
    await first.seal([log.partition()])
    await lab.clock.runFor(2000)
    // Of these the store knows nothing.
    await send(log, 1, 3)
    await send(log, 2, 1)
    first.kill()
    await lab.clock.runFor(12_000)
    const second = await lab.machine()
    await second.start({ tailUploadMs: 0 })
    const { lab: restored } = second.running
    expect(await send(restored, 1, 2)).toMatchObject({ verdict: DUPLICATE, baseOffset: 2 })
    expect(await send(restored, 1, 4)).toMatchObject({ verdict: ACCEPTED, baseOffset: 4 })
    expect(await send(restored, 1, 6)).toMatchObject({ verdict: OUT_OF_ORDER })
    expect(await send(restored, 1, 5)).toMatchObject({ verdict: ACCEPTED, baseOffset: 5 })
    expect(await send(restored, 2, 1)).toMatchObject({ verdict: ACCEPTED, baseOffset: 6 })
  })

  it('are ends of transactions: open ones are aborted with markers, and their producers go on with another id', async () => {
    const lab = new RecoveryLab()
    const first = await lab.machine()
    await first.start()
    const { lab: log } = first.running
    await log.topic('topic', 2)
    for (const [id, transactionalId] of ['ender', 'opener'].entries()) {
      await log.propose({ ...claim, transactionalId, producerId: id })
      const producer = { id, epoch: 0, sequence: 0, isTransactional: true }
      await log.append(log.partition(), { producer })
      await log.append(log.partition('topic', 1), { producer })
    }
    await lab.clock.runFor(2000)
    // Nobody but this machine knows that it was ended.
    first.running.store.isCut = true
    await log.endTransaction('ender', true)
    first.kill()
    await lab.clock.runFor(12_000)
    const second = await lab.machine()
    await second.start()
    const { state } = second.log
    for (const partition of state.topics.get('topic')!.partitions) {
      expect([partition.nextOffset, partition.lastStableOffset]).toEqual([4, 4])
      expect(partition.aborted?.between(0, 4).map(({ producerId }) => producerId)).toEqual([0, 1])
      const markers = (await second.content(partition)).length - 2
      expect(markers).toBe(2)
    }
    const [ended, opened] = [...state.transactions.values()]
    expect([ended!.phase, opened!.phase]).toEqual(['CompleteAbort', 'CompleteAbort'])
    // How many ends are lost, each with an epoch, nobody knows: any epoch of the old id may be somebody's.
    expect(ended!.producerId).toBeGreaterThan(1_000_000)
    expect(opened!.producerId).toBeGreaterThan(ended!.producerId)
    expect(state.nextProducerId).toBeGreaterThan(opened!.producerId)
    expect([ended!.previousProducerId, ended!.previousEpoch]).toEqual([0, 0])
  })

  it('is a marker of an aborted transaction: its records stay hidden', async () => {
    const lab = new RecoveryLab()
    const first = await lab.machine()
    await first.start({ tailUploadMs: 0 })
    const { lab: log } = first.running
    await log.topic('topic')
    await log.propose({ ...claim, transactionalId: 'writer', producerId: 7 })
    await log.append(log.partition(), { producer: { id: 7, epoch: 0, sequence: 0, isTransactional: true } })
    // The records are in the store as they are in a copy of them, the marker is in none.
    const { copyTail } = await tailOf(lab, first)
    await copyTail()
    await log.endTransaction('writer', false)
    await lab.clock.runFor(2000)
    first.kill()
    await lab.clock.runFor(12_000)
    const second = await lab.machine()
    await second.start()
    const partition = second.running.lab.partition()
    expect(partition.aborted?.between(0, 10)).toMatchObject([{ producerId: 7, firstOffset: 0, lastOffset: 1 }])
    expect((await second.content(partition)).length).toBe(2)
    expect(partition.nextOffset).toBe(2)
  })

  it.each(['aborted', 'open'])(
    'are the markers of two: the older one stays hidden, too, though it was still %s',
    async how => {
      const lab = new RecoveryLab()
      const first = await lab.machine()
      await first.start({ tailUploadMs: 0 })
      const { lab: log } = first.running
      await log.topic('topic')
      for (const [producerId, transactionalId] of ['older', 'younger'].entries()) {
        await log.propose({ ...claim, transactionalId, producerId })
        const producer = { id: producerId, epoch: 0, sequence: 0, isTransactional: true }
        await log.append(log.partition(), { producer })
        await log.append(log.partition(), { producer: { ...producer, sequence: 1 } })
      }
      const { copyTail } = await tailOf(lab, first)
      await copyTail()
      await log.endTransaction('younger', false)
      if (how === 'aborted') await log.endTransaction('older', false)
      await lab.clock.runFor(2000)
      first.kill()
      await lab.clock.runFor(12_000)
      const second = await lab.machine()
      await second.start()
      const { aborted, nextOffset } = second.running.lab.partition()
      expect(nextOffset).toBe(6)
      const whoseIn = (from: number, to: number) => aborted?.between(from, to).map(({ producerId }) => producerId)
      expect(whoseIn(0, 1)).toEqual([0])
      expect(whoseIn(1, 2)).toEqual([0])
      expect(whoseIn(2, 4)).toEqual([0, 1])
    },
  )

  it('does not come back by itself from a damaged archive, which says what is damaged', async () => {
    const lab = new RecoveryLab()
    const first = await lab.machine()
    await first.start()
    await first.running.lab.topic('topic')
    await lab.clock.runFor(5000)
    first.kill()
    await lab.clock.runFor(12_000)
    const key = lab.keys.find(name => name.startsWith('metalog/'))!
    const bytes = Buffer.from(lab.bucket.peek(key))
    bytes[bytes.length - 1]! ^= 1
    lab.bucket.poke(key, bytes)
    const second = await lab.machine()
    await expect(second.start()).rejects.toThrow(new RegExp(`${key} is damaged`))
    lab.bucket.remove(key)
    await expect(second.start()).rejects.toThrow(/misses a piece of the metadata log/)
  })
})

/** Copies what is in no segment now, once. */
async function tailOf(lab: RecoveryLab, machine: Awaited<ReturnType<RecoveryLab['machine']>>) {
  const { EVERYTHING, openRecordTail } = await import('#tier/recovery/record-tail.ts')
  const { lab: log, store } = machine.running
  const options = {
    log: log.log,
    store,
    clock: lab.clock,
    intervalMs: 0,
    restoreWindowMs: 0,
    metrics: { copied() {} },
    copyWish: () => EVERYTHING,
    isArchived: () => false,
    confirm: async () => {},
    report() {},
  }
  const { signal } = new AbortController()
  const tail = await lab.clock.run(openRecordTail(options, 1, signal))
  return { copyTail: () => lab.clock.run(tail.upload(log.log.commits.position, true, signal)) }
}
