import { describe, expect, it } from 'vitest'
import { packer, RecoveryLab, unpack } from '#test/support/recovery-lab.ts'
import { decodeArchived, encodeArchived, readGroups } from '#tier/recovery/archive-format.ts'
import { parseCheckpointKey, parseMetalogKey } from '#tier/recovery/archive-names.ts'
import { type AgedCheckpoint, keptCheckpoints, neededFrom } from '#tier/recovery/pruning.ts'
import type { RecoverySettings } from '#tier/recovery/recovery.ts'
import { Tape } from '#tier/recovery/tape.ts'

const HOUR_MS = 3_600_000

/** Groups of one record each, of a type that nobody knows. */
function recordsOf(sizeBytes: number): Buffer {
  const records = Buffer.alloc(6 + sizeBytes)
  records.writeUInt8(99, 0)
  records.writeUInt8(1, 1)
  records.writeUInt32BE(sizeBytes, 2)
  return records
}

describe('an object of the archive', () => {
  const header = { kind: 'metalog', generation: 3, from: 0, to: 200, stateTimeMs: 1234.5, writtenMs: 99 } as const

  async function piece(): Promise<Buffer> {
    const tape = new Tape(1 << 20)
    tape.begin(0, true)
    tape.add(64, 100, recordsOf(1))
    tape.add(100, 136, recordsOf(2))
    tape.add(200 - 0, 236, recordsOf(3))
    const { content } = tape.cut()
    return encodeArchived({ ...header, to: 236 }, content, packer)
  }

  it('gives back what was put into it', async () => {
    const object = await decodeArchived('key', await piece(), unpack)
    expect(object.header).toEqual({ ...header, to: 236 })
    const groups = [...readGroups('key', object)]
    expect(groups.map(({ position, endPosition, records }) => [position, endPosition, records.length])).toEqual([
      [64, 100, 7],
      [100, 136, 8],
      [200, 236, 9],
    ])
  })

  it('is refused with any bit altered, at any length, and by a version that does not know it', async () => {
    const bytes = await piece()
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const altered = Buffer.from(bytes)
      altered[bit >> 3]! ^= 1 << (bit & 7)
      await expect(decodeArchived('key', altered, unpack)).rejects.toThrow(/key (is damaged|was written by a newer)/)
    }
    for (let length = 0; length < bytes.length; length++) {
      await expect(decodeArchived('key', bytes.subarray(0, length), unpack)).rejects.toThrow(/key is damaged/)
    }
  })

  it('whose groups do not follow each other is damaged', async () => {
    const object = await decodeArchived('key', await piece(), unpack)
    const moved = { ...object, header: { ...object.header, from: 10 } }
    expect(() => [...readGroups('key', moved)]).toThrow(/does not follow/)
    const short = { ...object, header: { ...object.header, to: 300 } }
    expect(() => [...readGroups('key', short)]).toThrow(/ends at 236 and not at 300/)
  })
})

describe('the tape', () => {
  it('gives up what does not fit, and goes on when it is mended', () => {
    const tape = new Tape(300)
    tape.begin(0, true)
    for (let i = 0; i < 20; i++) tape.add(i * 100, i * 100 + 100, recordsOf(50))
    expect(tape.isBroken).toBe(true)
    expect(tape.sizeBytes).toBe(0)
    expect(tape.recordCount).toBe(20)
    tape.mend()
    tape.add(2000, 2100, recordsOf(5))
    expect(tape.cut()).toMatchObject({ from: 2000, to: 2100 })
    expect(tape.isEmpty).toBe(true)
  })
})

describe('what is kept of the archive', () => {
  const at = (position: number, writtenMs: number, beginsChain = false): AgedCheckpoint => ({
    generation: 1,
    position,
    writtenMs,
    beginsChain,
  })

  it('without a window are the last three checkpoints, and the pieces behind the first of them', () => {
    const checkpoints = [1, 2, 3, 4, 5].map(i => at(i, i * 10_000))
    const kept = keptCheckpoints(checkpoints, { nowMs: 60_000, windowMs: 0 })
    expect([...kept].map(({ position }) => position)).toEqual([3, 4, 5])
    expect([...neededFrom(kept)]).toEqual([[1, 3]])
  })

  it('with a window is one checkpoint an hour, and the one that the window begins with', () => {
    const checkpoints = Array.from({ length: 300 }, (_, i) => at(i, i * (HOUR_MS / 10)))
    const nowMs = 299 * (HOUR_MS / 10)
    const kept = [...keptCheckpoints(checkpoints, { nowMs, windowMs: 24 * HOUR_MS })]
      .map(({ position }) => position)
      .sort((a, b) => a - b)
    expect(kept[0]).toBe(59)
    expect(kept.slice(1, 4)).toEqual([60, 70, 80])
    expect(kept.slice(-3)).toEqual([297, 298, 299])
    expect(kept.length).toBe(1 + 24 + 3)
  })

  it('with a window is every checkpoint that begins a chain', () => {
    // A process began with the third one: the one before had died before its last records were archived.
    const checkpoints = [1, 2, 3, 4, 5, 6, 7].map(i => at(i * 10, i * 1000, i === 3))
    const kept = keptCheckpoints(checkpoints, { nowMs: 8000, windowMs: HOUR_MS })
    expect([...kept].map(({ position }) => position).sort((a, b) => a - b)).toEqual([10, 30, 50, 60, 70])
  })
})

describe('the archive of an owner', () => {
  it('has three checkpoints, and pieces from the first of them on without a gap', async () => {
    const lab = new RecoveryLab()
    const machine = await lab.machine()
    await machine.start({ checkpointRecords: 10 })
    const { lab: log } = machine.running
    await log.topic('topic')
    for (let i = 0; i < 100; i++) {
      await log.append(log.partition())
      await lab.clock.runFor(900)
    }
    await lab.clock.runFor(2000)
    const checkpoints = lab.keys.map(parseCheckpointKey).filter(name => name !== null)
    const pieces = lab.keys.map(parseMetalogKey).filter(name => name !== null)
    expect(checkpoints.length).toBe(3)
    let end = checkpoints[0]!.position
    for (const { from, to } of pieces) {
      expect(from).toBe(end)
      end = to
    }
    expect(end).toBe(machine.log.commits.position)
    expect(machine.running.recovery.archivedPosition).toBe(end)
  })

  it('writes nothing while nothing changes, but that it lives', async () => {
    const lab = new RecoveryLab()
    const machine = await lab.machine()
    await machine.start()
    await machine.running.lab.topic('topic')
    await lab.clock.runFor(3000)
    const keys = new Set<string>()
    lab.bucket.onCall = ({ verb, key }) => {
      if (verb === 'put') keys.add(key)
      return null
    }
    await lab.clock.runFor(3 * HOUR_MS)
    expect([...keys]).toEqual(['owner.json'])
  })

  it('removes copies of records when they are in segments, and the store knows it', async () => {
    const lab = new RecoveryLab()
    const machine = await lab.machine()
    await machine.start()
    const { lab: log } = machine.running
    await log.topic('topic', 2)
    for (let i = 0; i < 5; i++) {
      await log.append(log.partition())
      await log.append(log.partition('topic', 1))
      await lab.clock.runFor(1200)
    }
    const tails = () => lab.keys.filter(key => key.startsWith('tail/'))
    expect(tails().length).toBe(5)
    await machine.seal([log.partition()])
    await lab.clock.runFor(3000)
    expect(tails().length).toBe(5)
    await machine.seal([log.partition('topic', 1)])
    await lab.clock.runFor(1500)
    await log.append(log.partition())
    await lab.clock.runFor(1500)
    expect(tails().length).toBe(1)
  })

  it('goes on, and gives the store back, while what it does not need any more cannot be deleted', async () => {
    const lab = new RecoveryLab()
    const machine = await lab.machine()
    await machine.start({ checkpointRecords: 1 })
    const { lab: log } = machine.running
    await log.topic('topic')
    const deletes = { tail: 0, checkpoints: 0, metalog: 0 }
    lab.bucket.onCall = ({ verb, key }) => {
      if (verb !== 'delete') return null
      deletes[key.split('/')[0] as keyof typeof deletes]++
      return 'hanging'
    }
    for (let i = 0; i < 8; i++) {
      await log.append(log.partition())
      await lab.clock.runFor(2000)
      await machine.seal([log.partition()])
      await lab.clock.runFor(11_000)
      expect(machine.running.recovery.lag.bytes).toBe(0)
    }
    expect(deletes.tail).toBeGreaterThan(0)
    expect(deletes.checkpoints).toBeGreaterThan(0)
    await machine.stop()
    expect(JSON.parse(lab.bucket.peek('owner.json').toString())).toMatchObject({ phase: 'stopped' })
    // The next process deletes what was left.
    lab.bucket.onCall = () => null
    await machine.start({ checkpointRecords: 1 })
    for (let i = 0; i < 8; i++) {
      await machine.running.lab.append(machine.running.lab.partition())
      await lab.clock.runFor(2000)
      await machine.seal([machine.running.lab.partition()])
      await lab.clock.runFor(11_000)
    }
    const left = lab.keys.filter(key => key.startsWith('tail/') || key.startsWith('checkpoints/'))
    expect(left.length).toBeLessThanOrEqual(4)
  })

  it('begins a chain anew when the store was away for longer than its memory lasts', async () => {
    const lab = new RecoveryLab()
    const machine = await lab.machine()
    await machine.start({ takeoverAfterMs: -1 })
    const { lab: log } = machine.running
    const topic = await log.topic('topic', 1)
    await lab.clock.runFor(2000)
    machine.running.store.isCut = true
    const text = 'x'.repeat(4 << 20)
    for (let i = 0; i < 18; i++) {
      const configs = new Map([['note', `${i}${text}`]])
      await log.propose({ kind: 'topic-configs-set', id: topic.id, configs })
    }
    await log.append(log.partition())
    machine.running.store.isCut = false
    await lab.clock.runFor(10_000)
    expect(machine.running.recovery.lag.bytes).toBe(0)
    await log.append(log.partition())
    await lab.clock.runFor(2000)
    await machine.stop()
    const second = await lab.machine()
    await second.start()
    expect(second.running.lab.partition().nextOffset).toBe(2)
  })

  it('that is off is whose store it is and no more, and begins when it is on again', async () => {
    const lab = new RecoveryLab()
    const machine = await lab.machine()
    await machine.start({ isArchived: false })
    await machine.running.lab.topic('topic')
    await machine.running.lab.appendMany(machine.running.lab.partition(), 3)
    await lab.clock.runFor(20_000)
    const written = ['generations/0000000001.json', 'owner.json']
    expect(lab.keys).toEqual(written)
    await machine.seal([machine.running.lab.partition()])
    await machine.stop()
    expect(lab.keys).toEqual([...written, expect.stringMatching(/^segments\//)])
    const empty = await lab.machine()
    await expect(empty.start()).rejects.toMatchObject({ code: 'NOTHING_TO_RESTORE' })

    await machine.start()
    const content = await machine.content(machine.running.lab.partition())
    expect(content.length).toBe(3)
    machine.kill()
    await lab.clock.runFor(12_000)
    await empty.start()
    expect(await empty.content(empty.running.lab.partition())).toEqual(content)
  })
})

describe('the archive writes', () => {
  /** When a checkpoint, and when a piece was written. */
  async function writing(settings: Partial<RecoverySettings>) {
    const lab = new RecoveryLab()
    const machine = await lab.machine()
    await machine.start(settings)
    const topic = await machine.running.lab.topic('topic')
    await lab.clock.runFor(2000)
    const writtenMs = { checkpoints: [] as number[], metalog: [] as number[] }
    lab.bucket.onCall = ({ verb, key }) => {
      const folder = key.split('/')[0]!
      if (verb === 'put' && folder in writtenMs)
        writtenMs[folder as keyof typeof writtenMs].push(lab.clock.monotonicMs())
      return null
    }
    const append = () => machine.running.lab.append(machine.running.lab.partition())
    return { lab, log: machine.running.lab, topic, append, writtenMs }
  }

  it('a checkpoint in ten seconds, however much there is', async () => {
    const { lab, append, writtenMs } = await writing({ checkpointRecords: 1 })
    for (let i = 0; i < 200; i++) {
      await append()
      await lab.clock.runFor(300)
    }
    const { checkpoints } = writtenMs
    expect(checkpoints.length).toBeGreaterThanOrEqual(5)
    for (const [i, ms] of checkpoints.slice(1).entries()) expect(ms - checkpoints[i]!).toBeGreaterThan(9900)
  })

  it('a checkpoint in its time, though in each job something goes before it is copied', async () => {
    const lab = new RecoveryLab()
    const first = await lab.machine()
    await first.start({ checkpointRecords: 1 })
    const { lab: log } = first.running
    await log.topic('topic')
    let checkpoints = 0
    lab.bucket.onCall = ({ verb, key }) => {
      if (verb === 'put' && key.startsWith('checkpoints/')) checkpoints++
      const { ordinal, nextOffset, logStart } = log.partition()
      if (verb === 'put' && key.startsWith('tail/') && logStart < nextOffset) {
        void log.log.propose({ kind: 'log-start-moved', ordinal, offset: nextOffset })
      }
      return null
    }
    for (let i = 0; i < 350; i++) {
      await log.append(log.partition())
      await lab.clock.runFor(100)
    }
    expect(checkpoints).toBeGreaterThanOrEqual(3)
    const { nextOffset } = log.partition()
    await first.stop()
    const second = await lab.machine()
    await second.start()
    expect(second.running.lab.partition().nextOffset).toBe(nextOffset)
  })

  it('a checkpoint when the last one is old and something has changed', async () => {
    const { lab, append, writtenMs } = await writing({ checkpointMs: 60_000 })
    await append()
    await lab.clock.runFor(50_000)
    await append()
    await lab.clock.runFor(100_000)
    expect(writtenMs.checkpoints).toEqual([])
    await append()
    await lab.clock.runFor(2000)
    expect(writtenMs.checkpoints.length).toBe(1)
    await append()
    await lab.clock.runFor(2000)
    expect(writtenMs.checkpoints.length).toBe(1)
  })

  it('a piece at once when there is a megabyte of it', async () => {
    const { lab, log, topic, writtenMs } = await writing({})
    const change = async () => {
      const configs = new Map([['note', 'x'.repeat(300_000)]])
      await log.propose({ kind: 'topic-configs-set', id: topic.id, configs })
      await lab.clock.runFor(100)
    }
    for (let i = 0; i < 3; i++) await change()
    expect(writtenMs.metalog).toEqual([])
    await change()
    expect(writtenMs.metalog.length).toBe(1)
  })
})
