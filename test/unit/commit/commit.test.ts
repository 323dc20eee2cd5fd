import { describe, expect, it } from 'vitest'
import { type CommitLab, type CommitLabOptions, openCommitLab, WAL, walPaths } from '#test/support/commit-lab.ts'
import { Prng } from '#test/support/sim/prng.ts'
import { SimClock } from '#test/support/sim/sim-clock.ts'
import { type DiskCall, type Fault, SimDisk } from '#test/support/sim/sim-disk.ts'

const FAST_MS = 0.05
const SLOW_MS = 8

/** A commit log on a disk whose syncs take so long. */
async function labWith(options: CommitLabOptions & { syncMs?: number } = {}): Promise<CommitLab> {
  const { syncMs = FAST_MS, ...rest } = options
  const clock = new SimClock()
  const latencyMs = ({ kind }: DiskCall) => (kind === 'sync' ? syncMs : 0.01)
  const disk = new SimDisk({ clock, latencyMs, prng: new Prng(3) })
  const lab = await openCommitLab(disk, { clock, ...rest })
  // The first file is there, and the log knows how fast the disk is.
  for (let i = 0; i < 4; i++) await lab.commit('first')
  lab.owner.events.length = 0
  lab.owner.committedTexts.length = 0
  lab.flushes.length = 0
  return lab
}

const failing =
  (kind: DiskCall['kind'], fault: Fault) =>
  (call: DiskCall): Fault | null =>
    call.kind === kind ? fault : null

describe('what is staged', () => {
  it('is sealed, written and told in the order of staging', async () => {
    const lab = await labWith()
    lab.stage('a')
    lab.stage('b')
    await lab.clock.run(lab.log.drain())
    await lab.commit('c')
    expect(lab.owner.events).toEqual(['seal a,b', 'commit a,b', 'seal c', 'commit c'])
  })

  it('lies in its group where the group says', async () => {
    const lab = await labWith()
    const group = lab.stage('one')
    const [headerAt, place] = [group.headerAt, group.payloadBytes - 3]
    lab.stage('two')
    expect(group.chunk.bytes.toString('utf8', headerAt + 48 + place, headerAt + 48 + place + 6)).toBe('ONETWO')
    await lab.clock.run(lab.log.drain())
    const inFile = lab.disk.peek(walPaths(lab.disk)[0]!)
    expect(inFile.toString('utf8', group.position + 48, group.position + 54)).toBe('ONETWO')
  })

  it('is copied: the bytes may be used for something else at once', async () => {
    const lab = await labWith()
    const bytes = Buffer.from('KEPT')
    const group = lab.log.stage(bytes, 0, 4, 10)
    group.attachment.push('kept')
    bytes.fill(0)
    await lab.clock.run(lab.log.drain())
    expect((await openCommitLab(lab.disk.crash(), { clock: lab.clock })).found).toContain('kept')
  })

  it('stays as it is until its group was told, whatever is staged while others are', async () => {
    const lab = await labWith({ syncMs: SLOW_MS, chunkBytes: 2000, cacheBytes: 4000, fileBytes: 100_000 })
    const seen: string[] = []
    lab.owner.onCommitted = group => {
      const from = group.headerAt + 48
      seen.push(group.chunk.bytes.toString('utf8', from, from + 3))
      if (seen.length === 2) for (const letter of 'def') lab.stage(letter.repeat(800))
    }
    lab.stage('aaa')
    await lab.clock.runFor(1)
    // Two groups in a chunk each, of one flush.
    for (const letter of 'bc') lab.stage(letter.repeat(800))
    await lab.clock.run(lab.log.drain())
    expect(seen.slice(0, 3)).toEqual(['AAA', 'BBB', 'CCC'])
  })

  it('counts as pending until it is committed', async () => {
    const lab = await labWith({ syncMs: SLOW_MS })
    const { position } = lab.log
    lab.stage('x'.repeat(500))
    expect(lab.log.pendingBytes).toBeGreaterThan(500)
    await lab.clock.run(lab.log.drain())
    expect(lab.log.pendingBytes).toBe(0)
    expect(lab.log.position).toBeGreaterThan(position + 1000)
  })

  it('may not grow its records beyond what was announced', async () => {
    const lab = await labWith()
    lab.log.stage(Buffer.from('X'), 0, 1, 5).attachment.push('longer than that')
    await expect(lab.clock.runFor(10)).rejects.toThrow('records take no more room than was announced')
  })
})

describe('a flush', () => {
  it('takes all that gathered while the last one was under way', async () => {
    const lab = await labWith({ syncMs: SLOW_MS })
    lab.stage('first')
    await lab.clock.runFor(SLOW_MS / 2)
    for (let i = 0; i < 50; i++) {
      lab.stage(`${i}`)
      await lab.clock.runFor(0.02)
    }
    await lab.clock.run(lab.log.drain())
    expect(lab.flushes.map(({ batches }) => batches)).toEqual([1, 50])
  })

  it('follows the last one without a pause', async () => {
    const lab = await labWith({ syncMs: SLOW_MS })
    const beganMs = lab.clock.monotonicMs()
    lab.stage('first')
    await lab.clock.runFor(1)
    lab.stage('second')
    await lab.clock.run(lab.log.drain())
    expect(lab.clock.monotonicMs() - beganMs).toBeLessThan(2 * SLOW_MS + 0.5)
  })

  it.each([
    ['a lone batch at once', { batches: 100, delayMs: 2, whenIdle: false }, 0, 0.3],
    [
      'a lone batch only after a delay, if it is told to wait when idle',
      { batches: 500, delayMs: 20, whenIdle: true },
      20,
      20.5,
    ],
  ])('takes %s', async (_what, gather, leastMs, mostMs) => {
    const lab = await labWith({ gather })
    const beganMs = lab.clock.monotonicMs()
    lab.stage('alone')
    await lab.clock.runUntil(() => lab.owner.committedTexts.length > 0)
    const tookMs = lab.clock.monotonicMs() - beganMs
    expect(tookMs).toBeGreaterThanOrEqual(leastMs)
    expect(tookMs).toBeLessThan(mostMs)
  })

  it('waits while more comes in turn after turn, but not for more than the limits', async () => {
    const countOf = async (gather: { batches: number; delayMs: number; whenIdle: boolean }) => {
      const lab = await labWith({ gather })
      for (let i = 0; i < 400; i++) {
        lab.stage(`${i}`)
        await lab.clock.runFor(0.01)
      }
      await lab.clock.run(lab.log.drain())
      return lab.flushes[0]!.batches
    }
    expect(await countOf({ batches: 7, delayMs: 1000, whenIdle: false })).toBe(7)
    expect(await countOf({ batches: 1, delayMs: 0, whenIdle: false })).toBe(1)
    const inTime = await countOf({ batches: 1000, delayMs: 1, whenIdle: false })
    expect(inTime).toBeGreaterThan(80)
    expect(inTime).toBeLessThan(120)
  })

  it('does not wait when it is told to hurry', async () => {
    const lab = await labWith({ gather: { batches: 500, delayMs: 20, whenIdle: true } })
    lab.stage('urgent')
    lab.log.hurry()
    await lab.clock.runFor(1)
    expect(lab.owner.committedTexts).toEqual(['urgent'])
  })

  it('blocks the thread only on a disk that is fast', async () => {
    const blocked = async (syncMs: number) => {
      const lab = await labWith({ syncMs })
      let isAsync = false
      lab.stage('x')
      await lab.clock.runUntil(() => {
        isAsync ||= lab.owner.events.includes('seal x') && lab.owner.committedTexts.length === 0
        return lab.owner.committedTexts.length > 0
      })
      return !isAsync
    }
    expect(await blocked(FAST_MS)).toBe(true)
    expect(await blocked(SLOW_MS)).toBe(false)
  })

  it('tells nothing before the sync is done', async () => {
    const lab = await labWith({ syncMs: SLOW_MS })
    lab.stage('x')
    await lab.clock.runFor(SLOW_MS * 0.9)
    expect(lab.owner.committedTexts).toEqual([])
    await lab.clock.runFor(SLOW_MS)
    expect(lab.owner.committedTexts).toEqual(['x'])
  })
})

describe('files and chunks', () => {
  it('are begun as they fill up, and everything is read back over all of them', async () => {
    const lab = await labWith({ fileBytes: 2000, chunkBytes: 1500, cacheBytes: 3000 })
    const texts = Array.from({ length: 60 }, (_, i) => `${i} `.repeat((i * 37) % 150))
    for (const text of texts) await lab.commit(text)
    expect(lab.log.files.all.length).toBeGreaterThan(8)
    const { found } = await openCommitLab(lab.disk.crash(), { clock: lab.clock, fileBytes: 2000 })
    expect(found.slice(4)).toEqual(texts)
  })

  it('are begun within one flush, too', async () => {
    const lab = await labWith({ fileBytes: 3000, chunkBytes: 1000 })
    const texts = Array.from({ length: 40 }, (_, i) => `${i} `.repeat(50))
    await lab.commit(...texts)
    expect(lab.owner.committedTexts).toEqual(texts)
    const { found } = await openCommitLab(lab.disk.crash(), { clock: lab.clock, fileBytes: 3000 })
    expect(found.slice(4)).toEqual(texts)
  })

  it('are made larger for a group that is larger than a file', async () => {
    const lab = await labWith({ fileBytes: 1000 })
    await lab.commit('big '.repeat(2000), 'behind it')
    const { found } = await openCommitLab(lab.disk.crash(), { clock: lab.clock, fileBytes: 1000 })
    expect(found.slice(4)).toEqual(['big '.repeat(2000), 'behind it'])
  })

  it('tell at which state a file ends: all of it is committed, nothing behind it', async () => {
    const lab = await labWith({ fileBytes: 2000 })
    for (let i = 0; i < 30; i++) await lab.commit(`text ${i} `.repeat(10))
    expect(lab.owner.rolls.length).toBeGreaterThan(2)
    for (const { ended, resume } of lab.owner.rolls) {
      expect(ended.endPosition).toBe(resume.position)
      const { found } = await openCommitLab(lab.disk.copyAtRest(), { fileBytes: 2000, resume })
      const all = ['first', 'first', 'first', 'first', ...lab.owner.committedTexts]
      expect(found).toEqual(all.slice(all.length - found.length))
    }
  })
})

describe('a full disk', () => {
  it('refuses what cannot be written, with all that was staged behind it, and leaves no trace', async () => {
    const lab = await labWith({ fileBytes: 2000 })
    const space = await lab.disk.space()
    lab.disk.capacityBytes = space.totalBytes - space.freeBytes
    const { position } = lab.log
    // Does not fit the file, whose size cannot grow.
    await lab.commit('fits', 'too long '.repeat(500), 'behind')
    expect(lab.owner.committedTexts).toEqual(['fits'])
    expect(lab.owner.events.slice(-2).every(event => event.startsWith('refuse'))).toBe(true)
    expect(lab.owner.refusals[0]).toMatchObject({ code: 'DISK_FULL', kind: 'retry' })
    expect(lab.log.failure).toBeNull()
    expect(lab.log.position).toBeGreaterThan(position)
    const { found } = await openCommitLab(lab.disk.copyAtRest(), { fileBytes: 2000 })
    expect(found.slice(4)).toEqual(['fits'])
  })

  it('is over when there is room again, without a restart', async () => {
    const lab = await labWith({ fileBytes: 2000 })
    const space = await lab.disk.space()
    lab.disk.capacityBytes = space.totalBytes - space.freeBytes
    for (let i = 0; i < 30; i++) await lab.commit(`refused or not ${i} `.repeat(10))
    expect(lab.owner.refusals.length).toBeGreaterThan(10)
    const taken = [...lab.owner.committedTexts]
    lab.disk.capacityBytes = Number.POSITIVE_INFINITY
    await lab.commit('taken again', 'and more '.repeat(300))
    expect(lab.owner.committedTexts).toEqual([...taken, 'taken again', 'and more '.repeat(300)])
    const { found } = await openCommitLab(lab.disk.crash(), { clock: lab.clock, fileBytes: 2000 })
    expect(found.slice(4)).toEqual(lab.owner.committedTexts)
  })

  it('may be there from the start', async () => {
    const clock = new SimClock()
    const disk = new SimDisk({ clock, capacityBytes: 0 })
    const lab = await openCommitLab(disk, { clock })
    await lab.commit('refused')
    expect(lab.owner.refusals).toHaveLength(1)
    disk.capacityBytes = Number.POSITIVE_INFINITY
    await lab.commit('taken')
    expect(lab.owner.committedTexts).toEqual(['taken'])
  })
})

describe('an error of the disk', () => {
  it.each([
    ['a sync that blocks', FAST_MS],
    ['a sync off the thread', SLOW_MS],
  ])('ends the log: %s', async (_what, syncMs) => {
    const lab = await labWith({ syncMs })
    lab.disk.onCall = failing('sync', 'EIO')
    lab.stage('undecided')
    await lab.clock.runFor(SLOW_MS / 2)
    if (lab.log.failure === null) lab.stage('behind')
    await lab.clock.run(lab.log.drain())
    expect(lab.owner.failure).toMatchObject({ code: 'LOG_FAILED', kind: 'unavailable' })
    expect(lab.owner.undecided[0]).toBe('undecided')
    expect(lab.owner.committedTexts).toEqual([])
    // No second try, even if it would succeed.
    lab.disk.onCall = () => null
    await lab.clock.runFor(1000)
    expect(lab.owner.committedTexts).toEqual([])
    expect(() => lab.stage('more')).toThrow('nothing is staged on a log that has ended')
    await lab.clock.run(lab.log.close())
    expect(lab.disk.openPaths).toEqual([])
  })

  it('in a write ends the log as well', async () => {
    const lab = await labWith()
    lab.disk.onCall = failing('write', 'EIO')
    await lab.commit('undecided')
    expect(lab.owner.failure?.message).toContain('could not write the log')
    expect(lab.owner.undecided).toEqual(['undecided'])
  })
})

describe('a sync at an interval', () => {
  const INTERVAL_MS = 50

  it('lets answers go before it, and comes in time', async () => {
    const lab = await labWith({ sync: INTERVAL_MS })
    await lab.clock.runFor(1000)
    let syncs = 0
    lab.disk.onCall = ({ kind }) => {
      if (kind === 'sync') syncs++
      return null
    }
    for (let i = 0; i < 10; i++) await lab.commit(`${i}`)
    expect(lab.owner.committedTexts).toHaveLength(10)
    expect(syncs).toBe(0)
    await lab.clock.runFor(INTERVAL_MS + 10)
    expect(syncs).toBe(1)
    const { found } = await openCommitLab(lab.disk.crash(), { clock: lab.clock })
    expect(found.slice(4)).toEqual(lab.owner.committedTexts)
  })

  it('is not needed to survive the end of the process', async () => {
    const lab = await labWith({ sync: INTERVAL_MS })
    await lab.commit('answered')
    expect((await openCommitLab(lab.disk.kill(), { clock: lab.clock })).found).toContain('answered')
  })

  it('can be asked for at once', async () => {
    const lab = await labWith({ sync: 100_000 })
    await lab.commit('answered')
    await lab.clock.run(lab.log.sync())
    expect((await openCommitLab(lab.disk.crash(), { clock: lab.clock })).found).toContain('answered')
  })

  it('covers the end of a file before the next one is begun', async () => {
    const lab = await labWith({ sync: 100_000, fileBytes: 2000 })
    for (let i = 0; i < 20; i++) await lab.commit(`text ${i} `.repeat(10))
    const { resume } = lab.owner.rolls.at(-1)!
    const { found, recovered } = await openCommitLab(lab.disk.crash(), { clock: lab.clock, fileBytes: 2000 })
    expect(recovered.position).toBeGreaterThanOrEqual(resume.position)
    expect(found.slice(4)).toEqual(lab.owner.committedTexts.slice(0, found.length - 4))
  })

  it('that fails ends the log, and what is under way is not answered', async () => {
    const lab = await labWith({ sync: INTERVAL_MS, syncMs: SLOW_MS })
    await lab.clock.runFor(1000)
    await lab.commit('answered')
    lab.disk.onCall = failing('sync', 'EIO')
    await lab.clock.runUntil(() => lab.owner.failure !== null)
    expect(lab.owner.committedTexts).toEqual(['answered'])
    await lab.clock.run(lab.log.close())
  })
})

describe('a close', () => {
  it('waits for what was staged, cuts the file and leaves nothing open or prepared', async () => {
    const lab = await labWith({ syncMs: SLOW_MS })
    lab.stage('last')
    const { resume, ended } = await lab.clock.run(lab.log.close())
    expect(lab.owner.committedTexts).toEqual(['last'])
    expect(lab.disk.openPaths).toEqual([])
    expect(walPaths(lab.disk)).toEqual([`${WAL}/0000000000000001.wal`])
    expect(lab.disk.peek(walPaths(lab.disk)[0]!)).toHaveLength(resume.position)
    expect(ended).toMatchObject({ sequence: 1, position: 0, endPosition: resume.position })
    const again = await openCommitLab(lab.disk.crash(), { clock: lab.clock, resume })
    expect(again.found).toEqual([])
    expect(again.log.files.active.sequence).toBe(2)
    await again.commit('next life')
    expect((await openCommitLab(again.disk.crash(), { clock: lab.clock, resume })).found).toEqual(['next life'])
  })

  it('of a log to which nothing was written changes nothing', async () => {
    const lab = await labWith()
    const first = await lab.clock.run(lab.log.close())
    const again = await openCommitLab(lab.disk.crash(), { clock: lab.clock, resume: first.resume })
    const second = await again.clock.run(again.log.close())
    expect(second).toEqual({ resume: first.resume, ended: null })
  })
})
