import { describe, expect, it } from 'vitest'
import { type Machine, RecoveryLab } from '#test/support/recovery-lab.ts'

const WITH_WINDOW = { restoreWindowMs: 600_000, checkpointRecords: 1 }

/** What a machine that is made from the bucket has is what this one has. */
async function expectTheSameElsewhere(lab: RecoveryLab, machine: Machine): Promise<void> {
  const content = await machine.content(machine.running.lab.partition())
  machine.kill()
  await lab.clock.runFor(12_000)
  const other = await lab.machine()
  await other.start()
  expect(await other.content(other.running.lab.partition())).toEqual(content)
}

describe('the record tail', () => {
  it('has nothing that a power loss takes from the log', async () => {
    for (let seed = 1; seed <= 10; seed++) {
      const lab = new RecoveryLab({ seed })
      const machine = await lab.machine()
      machine.walSync = 60_000
      await machine.start()
      const { lab: log } = machine.running
      await log.topic('topic')
      await log.append(log.partition())
      await lab.clock.runFor(2000)
      // What comes while a job syncs the log is not synced with it, but copied.
      machine.diskSyncMs = 1
      let isSent = false
      machine.disk.onCall = ({ kind }) => {
        if (kind === 'sync' && !isSent) void log.send(log.batch(log.partition()))
        isSent ||= kind === 'sync'
        return null
      }
      let isPieceAwaited = false
      lab.bucket.onCall = ({ verb, key }) => {
        if (verb !== 'put' || !key.startsWith('metalog/')) return null
        isPieceAwaited = true
        return 'hanging'
      }
      await log.append(log.partition())
      await lab.clock.runFor(2000)
      expect(isPieceAwaited).toBe(true)
      machine.cutPower()
      lab.bucket.onCall = () => null
      await machine.start()
      expect(machine.running.lab.partition().nextOffset).toBe(3)
      for (let i = 0; i < 3; i++) await machine.running.lab.append(machine.running.lab.partition(), { sizeBytes: 200 })
      await lab.clock.runFor(3000)
      await expectTheSameElsewhere(lab, machine)
    }
  })

  /** A topic that was deleted before its records were in a segment, and the broker went on. */
  async function afterDeletion() {
    const lab = new RecoveryLab()
    const machine = await lab.machine()
    await machine.start(WITH_WINDOW)
    const { lab: log } = machine.running
    await log.topic('other')
    await log.topic('topic')
    for (let i = 0; i < 3; i++) {
      await log.append(log.partition())
      await lab.clock.runFor(1200)
    }
    const content = await machine.content(log.partition())
    const atMs = lab.clock.nowMs()
    await lab.clock.runFor(100)
    await log.propose({ kind: 'topic-deleted', id: log.partition().topic.id })
    const goOn = async () => {
      const { lab: now } = machine.running
      for (let i = 0; i < 5; i++) {
        await now.append(now.partition('other'))
        await machine.seal([now.partition('other')])
        await lab.clock.runFor(2000)
      }
    }
    await goOn()
    return { lab, machine, content, atMs, goOn }
  }

  it('brings back a topic that was deleted before its records were in a segment', async () => {
    const { lab, machine, content, atMs, goOn } = await afterDeletion()
    // The next process does not forget it.
    machine.kill()
    await machine.start(WITH_WINDOW)
    await goOn()
    await machine.stop()
    const second = await lab.machine()
    expect((await second.restore({ atMs })).mended.lostRecords).toBe(0)
    await second.start(WITH_WINDOW)
    expect(await second.content(second.running.lab.partition())).toEqual(content)
  })

  it('has nothing of a deleted topic behind the restore window', async () => {
    const { lab, goOn } = await afterDeletion()
    const tails = () => lab.keys.filter(key => key.startsWith('tail/')).length
    expect(tails()).toBe(3)
    await lab.clock.runFor(WITH_WINDOW.restoreWindowMs)
    await goOn()
    expect(tails()).toBe(0)
  })

  it('is in objects of eight megabytes over many partitions, or a batch more', async () => {
    const lab = new RecoveryLab()
    const machine = await lab.machine()
    await machine.start()
    const { lab: log } = machine.running
    const { partitions } = await log.topic('topic', 20)
    const sizeBytes = 400_000
    await lab.clock.run(Promise.all([...partitions, ...partitions].map(to => log.send(log.batch(to, { sizeBytes })))))
    await lab.clock.runFor(2000)
    const sizes = lab.keys.filter(key => key.startsWith('tail/')).map(key => lab.bucket.peek(key).length)
    expect(sizes.length).toBe(2)
    expect(Math.max(...sizes)).toBeLessThan((8 << 20) + sizeBytes)
    await expectTheSameElsewhere(lab, machine)
  })

  it('leaves nothing behind of what the store has taken without saying so', async () => {
    const lab = new RecoveryLab()
    const machine = await lab.machine()
    await machine.start()
    const { lab: log } = machine.running
    await log.topic('topic')
    lab.bucket.onCall = ({ verb, key }) => (verb === 'put' && key.startsWith('tail/') ? 'lost' : null)
    for (let i = 0; i < 4; i++) {
      await log.append(log.partition())
      await lab.clock.runFor(2000)
    }
    const tails = () => lab.keys.filter(key => key.startsWith('tail/')).length
    expect(tails()).toBeGreaterThan(1)
    lab.bucket.onCall = () => null
    await lab.clock.runFor(10_000)
    expect(tails()).toBe(1)
    await expectTheSameElsewhere(lab, machine)
  })

  it('removes copies of what the disk lost although it was synced, and copies the others again', async () => {
    const lab = new RecoveryLab()
    const machine = await lab.machine()
    await machine.start()
    const { lab: log } = machine.running
    await log.topic('topic', 2)
    await log.append(log.partition('topic', 1))
    await lab.clock.runFor(2000)
    const older = machine.disk.copy()
    lab.bucket.onCall = ({ verb, key }) => (verb === 'put' && key.startsWith('metalog/') ? 'unavailable' : null)
    await log.append(log.partition())
    await lab.clock.runFor(2000)
    machine.kill()
    lab.bucket.onCall = () => null
    machine.disk = older
    await machine.start()
    const stale = lab.keys.filter(key => key.startsWith('tail/'))
    const { lab: again } = machine.running
    await again.append(again.partition(), { sizeBytes: 200 })
    await lab.clock.runFor(3000)
    expect(stale.filter(key => lab.keys.includes(key)).length).toBe(1)
    await expectTheSameElsewhere(lab, machine)
  })
})
