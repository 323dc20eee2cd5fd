import { describe, expect, it } from 'vitest'
import { type Machine, packer, RecoveryLab, unpack } from '#test/support/recovery-lab.ts'
import { decodeArchived, encodeArchived } from '#tier/recovery/archive-format.ts'
import type { RecoverySettings } from '#tier/recovery/recovery.ts'

// What a restore does about objects that are damaged or missing: it says what would be lost, and goes on without it when told to.

const DAY_MS = 86_400_000

/** Five records, in two objects of the record tail; its machine is gone. */
async function withTail(settings: Partial<RecoverySettings> = {}, end: 'kill' | 'stop' = 'kill') {
  const lab = new RecoveryLab()
  const first = await lab.machine()
  await first.start(settings)
  const { lab: log } = first.running
  await log.topic('topic')
  await log.appendMany(log.partition(), 3)
  await lab.clock.runFor(2000)
  await log.appendMany(log.partition(), 2)
  await lab.clock.runFor(2000)
  const content = await first.content(log.partition())
  await first[end]()
  await lab.clock.runFor(12_000)
  return { lab, content, tail: lab.keys.filter(key => key.startsWith('tail/')) }
}

/** Turns a bit so many bytes from the begin, or from the end. */
function damage(lab: RecoveryLab, key: string, at: number): void {
  const bytes = Buffer.from(lab.bucket.peek(key))
  bytes[at < 0 ? bytes.length + at : at]! ^= 1
  lab.bucket.poke(key, bytes)
}

async function contentOf(machine: Machine): Promise<string[]> {
  await machine.start({ restoreWindowMs: DAY_MS })
  return machine.content(machine.running.lab.partition())
}

const EVERYTHING = { atMs: null }
const DIRECTORY = -20

describe('a damaged object of the record tail', () => {
  it('stops a restore with what would be lost, and how to go on', async () => {
    const { lab, tail } = await withTail()
    damage(lab, tail[1]!, DIRECTORY)
    const second = await lab.machine()
    const refusal = { code: 'RESTORE_LOSES_RECORDS', message: expect.stringContaining(tail[1]!) }
    await expect(second.start()).rejects.toMatchObject(refusal)
    await expect(second.lookAtRestore(EVERYTHING)).rejects.toMatchObject(refusal)
    await expect(second.restore(EVERYTHING)).rejects.toMatchObject(refusal)
    await expect(second.start()).rejects.toThrow(/2 records at the end of 1 partitions.*chronik restore --accept-loss/s)
  })

  it.each([
    ['kill', { durability: 'bucket' }],
    ['stop', {}],
  ] as const)('stops it, too, if it is gone and should be there: after a %s with %j', async (end, settings) => {
    const { lab, tail } = await withTail(settings, end)
    lab.bucket.remove(tail[1]!)
    const second = await lab.machine()
    await expect(second.start()).rejects.toMatchObject({ code: 'RESTORE_LOSES_RECORDS' })
    const { mended } = await second.lookAtRestore({ ...EVERYTHING, acceptsLoss: true })
    expect(mended.lostRecords).toBeGreaterThan(0)
  })

  it.each([
    [0, 0],
    [1, 3],
  ])('can be left out, object %i, with what is behind it', async (index, kept) => {
    const { lab, tail, content } = await withTail()
    damage(lab, tail[index]!, DIRECTORY)
    const second = await lab.machine()
    const wish = { ...EVERYTHING, acceptsLoss: true }
    const { mended, damage: found } = await second.lookAtRestore(wish)
    expect(mended.lostRecords).toBe(5 - kept)
    expect(found).toMatchObject([{ what: tail[index] }])
    await second.restore(wish)
    expect(await contentOf(second)).toEqual(content.slice(0, kept))
    expect(second.running.lab.partition().leaderEpoch).toBe(1)
  })

  it('is no reason to stop when its records are in segments', async () => {
    const lab = new RecoveryLab()
    const first = await lab.machine()
    await first.start()
    const { lab: log } = first.running
    await log.topic('topic')
    await log.appendMany(log.partition(), 3)
    await lab.clock.runFor(2000)
    const [tail] = lab.keys.filter(key => key.startsWith('tail/'))
    const bytes = lab.bucket.peek(tail!)
    await first.seal([log.partition()])
    const content = await first.content(log.partition())
    await lab.clock.runFor(3000)
    first.kill()
    await lab.clock.runFor(12_000)
    lab.bucket.poke(tail!, bytes)
    damage(lab, tail!, DIRECTORY)
    const second = await lab.machine()
    expect(await contentOf(second)).toEqual(content)
  })
})

describe('a damaged copy of records of which a part is wanted', () => {
  const RECORDS = 6
  const WANTED = 4

  /** A record a second, all of them sealed together at the end: records of a time before are cut out of that segment. */
  async function sealedLater() {
    const lab = new RecoveryLab()
    const first = await lab.machine()
    await first.start({ restoreWindowMs: DAY_MS })
    const { lab: log } = first.running
    await log.topic('topic')
    let atMs = 0
    const tail = new Map<string, Buffer>()
    for (let i = 0; i < RECORDS; i++) {
      await log.append(log.partition())
      if (i === WANTED - 1) atMs = lab.clock.nowMs()
      await lab.clock.runFor(1500)
      for (const key of lab.keys) if (key.startsWith('tail/')) tail.set(key, lab.bucket.peek(key))
    }
    await first.seal([log.partition()])
    const content = (await first.content(log.partition())).slice(0, WANTED)
    await lab.clock.runFor(3000)
    await first.stop()
    expect(lab.keys.some(key => key.startsWith('tail/'))).toBe(false)
    const [segment] = lab.keys.filter(key => key.startsWith('segments/'))
    return { lab, atMs, content, tail, segment: segment! }
  }

  const FIRST_RECORD = 63

  it.each(['damaged', 'missing'])('that is %s stops the restore, or loses them', async how => {
    const { lab, atMs, segment } = await sealedLater()
    if (how === 'damaged') damage(lab, segment, FIRST_RECORD)
    else lab.bucket.remove(segment)
    const second = await lab.machine()
    const refusal = { code: 'RESTORE_LOSES_RECORDS', message: expect.stringContaining(segment) }
    await expect(second.lookAtRestore({ atMs })).rejects.toMatchObject(refusal)
    await expect(second.restore({ atMs })).rejects.toMatchObject(refusal)
    const wish = { atMs, acceptsLoss: true }
    expect((await second.lookAtRestore(wish)).mended.lostRecords).toBe(WANTED)
    await second.restore(wish)
    expect(await contentOf(second)).toEqual([])
  })

  it('is left for another one that has them', async () => {
    const { lab, atMs, content, tail, segment } = await sealedLater()
    damage(lab, segment, FIRST_RECORD)
    for (const [key, bytes] of tail) lab.bucket.poke(key, bytes)
    const second = await lab.machine()
    expect((await second.restore({ atMs })).damage).toMatchObject([{ what: segment }])
    expect(await contentOf(second)).toEqual(content)
  })
})

describe('a damaged piece of the metadata log', () => {
  async function withPieces(end: 'kill' | 'stop' = 'kill') {
    const lab = new RecoveryLab()
    const first = await lab.machine()
    await first.start()
    for (const name of ['first', 'second', 'third']) {
      await first.running.lab.topic(name)
      await lab.clock.runFor(2000)
    }
    await first[end]()
    await lab.clock.runFor(12_000)
    const pieces = lab.keys.filter(key => key.startsWith('metalog/'))
    return { lab, pieces, last: pieces.at(-1)! }
  }

  it.each(['damaged', 'missing'])('that is %s can be left out, with everything behind it', async how => {
    const { lab, last } = await withPieces()
    if (how === 'damaged') damage(lab, last, -1)
    else lab.bucket.remove(last)
    const second = await lab.machine()
    // What is missing at the very end only the owner knows of, if it has said so.
    if (how === 'damaged') {
      await expect(second.lookAtRestore(EVERYTHING)).rejects.toThrow(
        /chronik restore --accept-loss' gives the state of 20/,
      )
    }
    const plan = await second.lookAtRestore({ ...EVERYTHING, acceptsLoss: true })
    expect([...plan.state.topics.keys()]).toEqual(['first', 'second'])
    expect(plan.isComplete).toBe(false)
    await second.restore({ ...EVERYTHING, acceptsLoss: true })
    await second.start()
    expect([...second.log.state.topics.keys()]).toEqual(['first', 'second'])
  })

  it('that is missing before the wanted time stops a restore to that, too', async () => {
    const { lab, pieces } = await withPieces()
    lab.bucket.remove(pieces.at(-2)!)
    const second = await lab.machine()
    const wish = { atMs: lab.clock.nowMs() }
    const refusal = { code: 'ARCHIVE_DAMAGED', message: expect.stringContaining('misses a piece of the metadata log') }
    await expect(second.lookAtRestore(wish)).rejects.toMatchObject(refusal)
    await expect(second.restore(wish)).rejects.toMatchObject(refusal)
    const { state, damage: found } = await second.lookAtRestore({ ...wish, acceptsLoss: true })
    expect([...state.topics.keys()]).toEqual(['first'])
    expect(found.map(({ why }) => why)).toEqual(['a piece of it is missing'])
  })

  it('that is the last one stops it, if its owner has said that it was there', async () => {
    const { lab, pieces } = await withPieces('stop')
    lab.bucket.remove(pieces.at(-1)!)
    for (const key of lab.keys.filter(name => name.startsWith('checkpoints/')).slice(1)) lab.bucket.remove(key)
    const second = await lab.machine()
    const looking = second.lookAtRestore({ atMs: lab.clock.nowMs() })
    await expect(looking).rejects.toMatchObject({ code: 'ARCHIVE_DAMAGED' })
  })

  it('is not called missing where a broker was killed before it wrote one', async () => {
    const lab = new RecoveryLab()
    const first = await lab.machine()
    const settings = { restoreWindowMs: DAY_MS }
    await first.start(settings)
    await first.running.lab.topic('archived')
    await lab.clock.runFor(2000)
    first.running.store.isCut = true
    await first.running.lab.topic('not archived')
    await lab.clock.runFor(1000)
    const atMs = lab.clock.nowMs()
    await lab.clock.runFor(1000)
    await first.running.lab.topic('later')
    first.kill()
    await first.start(settings)
    await first.running.lab.topic('last')
    await lab.clock.runFor(2000)
    const { state, damage: found } = await (await lab.machine()).lookAtRestore({ atMs })
    expect([...state.topics.keys()]).toEqual(['archived'])
    expect(found).toEqual([])
    // The checkpoint that bridges it cannot be read: what is behind it may be of before the time.
    const bridge = lab.keys.filter(key => key.startsWith('checkpoints/')).at(-1)!
    damage(lab, bridge, 0)
    const looking = (await lab.machine()).lookAtRestore({ atMs })
    await expect(looking).rejects.toMatchObject({ code: 'ARCHIVE_DAMAGED' })
  })
})

describe('what a newer version wrote', () => {
  it.each([
    ['record', 'metalog/', 20 + 1, 'RECORD_TOO_NEW'],
    ['state', 'checkpoints/', 1, 'CHECKPOINT_TOO_NEW'],
  ] as const)('is no damage, a %s: nothing is restored without it', async (_, prefix, versionAt, code) => {
    const { lab } = await withTail()
    const key = lab.keys.filter(name => name.startsWith(prefix)).at(-1)!
    const { header, content } = await decodeArchived(key, lab.bucket.peek(key), unpack)
    content[versionAt]!++
    lab.bucket.poke(key, await encodeArchived(header, content, packer))
    const second = await lab.machine()
    const refusal = { code, kind: 'invalid', message: expect.stringContaining('upgrade first') }
    await expect(second.start()).rejects.toMatchObject(refusal)
    const wish = { ...EVERYTHING, acceptsLoss: true }
    await expect(second.lookAtRestore(wish)).rejects.toMatchObject(refusal)
  })
})

describe('what the owner has said last', () => {
  it.each(['damaged', 'missing'])('that is %s is no reason not to go back in time', async how => {
    const { lab, content } = await withTail({ restoreWindowMs: DAY_MS })
    if (how === 'damaged') damage(lab, 'owner.json', 10)
    else lab.bucket.remove('owner.json')
    const second = await lab.machine()
    const wish = { atMs: lab.clock.nowMs(), takeOver: true }
    const plan = await second.lookAtRestore(wish)
    // The next generation is known all the same.
    expect(plan.state.topics.get('topic')?.partitions[0]?.leaderEpoch).toBe(1)
    await second.restore(wish)
    expect(await contentOf(second)).toEqual(content)
    expect(second.running.lab.partition().leaderEpoch).toBe(1)
    await second.stop()
    // What it goes back to is of another generation than the newest.
    if (how === 'damaged') damage(lab, 'owner.json', 10)
    else lab.bucket.remove('owner.json')
    const third = await lab.machine()
    const again = await third.lookAtRestore(wish)
    expect(again.generation).toBe(1)
    expect(again.state.topics.get('topic')?.partitions[0]?.leaderEpoch).toBe(2)
    for (const key of lab.keys) if (key.startsWith('generations/')) lab.bucket.remove(key)
    expect((await third.lookAtRestore(wish)).generation).toBe(1)
  })
})
