import { describe, expect, it } from 'vitest'
import { RecoveryLab } from '#test/support/recovery-lab.ts'
import type { StoreCall } from '#test/support/sim/sim-object-store.ts'

describe('durability=bucket', () => {
  it('answers nothing that is lost when the machine is, at whatever moment', async () => {
    for (let seed = 1; seed <= 40; seed++) {
      const lab = new RecoveryLab({ seed })
      const first = await lab.machine()
      await first.start({ durability: 'bucket', tailUploadMs: 0 })
      const { lab: log } = first.running
      await log.topic('topic', 2)
      const answered: number[] = []
      let sequence = 0
      const produce = (): void => {
        const producer = { id: 5, epoch: 0, sequence: sequence++ }
        void log.send(log.batch(log.partition(), { producer })).then(({ baseOffset }) => {
          answered.push(baseOffset)
          lab.clock.after(lab.prng.fraction() * 40, produce)
        })
      }
      let offset = 0
      const commit = (): void => {
        const partitions = [{ partition: 0, offset: offset + 1, leaderEpoch: 0, metadata: '', expiresMs: -1 }]
        const topics = [{ topicId: 'id-of-topic', partitions }]
        void log.log.propose({ kind: 'offsets-committed', groupId: 'readers', topics }).then(() => {
          offset++
          lab.clock.after(lab.prng.fraction() * 100, commit)
        })
      }
      produce()
      commit()
      await lab.clock.runFor(500 + lab.prng.fraction() * 1500)
      if (seed % 3 === 0) await first.seal([log.partition()])
      await lab.clock.runFor(lab.prng.fraction() * 500)
      const [promised, committed] = [answered.length, offset]
      first.kill()
      await lab.clock.runFor(12_000)
      const second = await lab.machine()
      await second.start({ durability: 'bucket', tailUploadMs: 0 })
      const restored = second.running.lab.partition()
      expect(promised).toBeGreaterThan(5)
      expect(restored.nextOffset).toBeGreaterThanOrEqual(promised)
      expect((await second.content(restored)).length).toBe(restored.nextOffset)
      const group = second.log.state.groups.get('readers')
      expect(group?.offsets.get('id-of-topic')?.get(0)?.offset).toBeGreaterThanOrEqual(committed)
      expect(restored.leaderEpoch).toBe(1)
      // Whoever has produced goes on: nothing that it was told is unknown.
      expect(restored.producers?.get(5)?.batches.at(-1)?.baseOffset).toBe(restored.nextOffset - 1)
    }
  })

  it('misses nothing when the machine is lost behind a piece of what came while records were copied', async () => {
    for (let seed = 1; seed <= 10; seed++) {
      const lab = new RecoveryLab({ seed })
      const first = await lab.machine()
      await first.start({ durability: 'bucket', tailUploadMs: 0 })
      const { lab: log } = first.running
      await log.topic('topic', 2)
      await log.append(log.partition())
      await lab.clock.runFor(2000)
      let [isDeleted, pieces] = [false, 0]
      lab.bucket.onCall = ({ verb, key }) => {
        if (verb === 'put' && key.startsWith('tail/') && !isDeleted) {
          isDeleted = true
          const { ordinal } = log.partition()
          void log.log.propose({ kind: 'log-start-moved', ordinal, offset: 2 })
          void log.send(log.batch(log.partition('topic', 1)))
        }
        if (verb === 'put' && key.startsWith('metalog/')) pieces++
        return pieces > 1 || (pieces === 1 && key.startsWith('generations/')) ? 'hanging' : null
      }
      void log.send(log.batch(log.partition()))
      await lab.clock.runFor(500)
      expect(pieces).toBe(1)
      first.kill()
      lab.bucket.onCall = () => null
      await lab.clock.runFor(12_000)
      const second = await lab.machine()
      await second.start({ durability: 'bucket', tailUploadMs: 0 })
      expect(second.running.lab.partition('topic', 1).nextOffset).toBe(1)
    }
  })

  it('says of no record that it is there and later that it was deleted, if it was never copied', async () => {
    const lab = new RecoveryLab()
    const first = await lab.machine()
    await first.start({ durability: 'bucket' })
    const { lab: log } = first.running
    await log.topic('topic')
    await lab.clock.runFor(2000)
    let pieces = 0
    lab.bucket.onCall = ({ verb, key }) => {
      if (verb === 'put' && key.startsWith('metalog/')) pieces++
      return pieces > 1 || (verb === 'put' && key.startsWith('tail/')) ? 'unavailable' : null
    }
    void log.send(log.batch(log.partition()))
    await lab.clock.runFor(100)
    void log.log.propose({ kind: 'log-start-moved', ordinal: log.partition().ordinal, offset: 1 })
    await lab.clock.runFor(5000)
    expect(pieces).toBeGreaterThan(0)
    first.kill()
    lab.bucket.onCall = () => null
    await lab.clock.runFor(12_000)
    const second = await lab.machine()
    await second.start({ durability: 'bucket' })
    const { logStart, nextOffset } = second.running.lab.partition()
    expect([logStart, nextOffset]).toEqual([1, 1])
  })

  it('loses nothing that is sealed, or what follows what is deleted, while older copies are removed', async () => {
    for (let seed = 1; seed <= 20; seed++) {
      const lab = new RecoveryLab({ seed })
      const first = await lab.machine()
      await first.start({ durability: 'bucket', tailUploadMs: 0 })
      const { lab: log } = first.running
      await log.topic('topic')
      await log.appendMany(log.partition(), 8)
      await first.seal([log.partition()])
      // With the next job go the copies of these eight, one after the other.
      const answers: number[] = []
      const produce = () => log.send(log.batch(log.partition())).then(({ baseOffset }) => answers.push(baseOffset))
      void produce()
      void produce()
      await lab.clock.runFor(3)
      const deletion = { kind: 'log-start-moved', ordinal: log.partition().ordinal, offset: 9 } as const
      if (seed % 2 === 0) void first.seal([log.partition()]).catch(() => {})
      else void log.log.propose(deletion).catch(() => {})
      await lab.clock.runUntil(() => answers.length === 2)
      first.kill()
      await lab.clock.runFor(12_000)
      const second = await lab.machine()
      await second.start({ durability: 'bucket', tailUploadMs: 0 })
      const restored = second.running.lab.partition()
      expect(restored.nextOffset).toBe(10)
      expect((await second.content(restored)).length).toBe(10 - restored.logStart)
    }
  })

  it('answers what came while older copies were removed, too, if nothing comes after it', async () => {
    const lab = new RecoveryLab()
    const first = await lab.machine()
    await first.start({ durability: 'bucket', tailUploadMs: 0 })
    const { lab: log } = first.running
    await log.topic('topic')
    await log.appendMany(log.partition(), 8)
    await first.seal([log.partition()])
    let answered = 0
    void log.send(log.batch(log.partition())).then(() => answered++)
    await lab.clock.runFor(3)
    void first.seal([log.partition()])
    await lab.clock.runFor(1000)
    expect(answered).toBe(1)
    expect(first.running.recovery.lag.bytes).toBe(0)
  })

  it('never has more in the store than on a disk that is synced at an interval', async () => {
    for (let seed = 1; seed <= 60; seed++) {
      const lab = new RecoveryLab({ seed })
      const machine = await lab.machine()
      machine.walSync = 3000
      await machine.start({ durability: 'bucket', tailUploadMs: 0 })
      const { lab: log } = machine.running
      await log.topic('topic')
      await log.appendMany(log.partition(), 8)
      void log.send(log.batch(log.partition()))
      await lab.clock.runFor(1 + lab.prng.fraction() * 10)
      // What is sealed while copies are written is told of with the same job, and what came meanwhile with it.
      void machine.seal([log.partition()]).catch(() => {})
      for (let i = 0; i < 4; i++) {
        await lab.clock.runFor(lab.prng.fraction() * 10)
        void log.send(log.batch(log.partition()))
      }
      await lab.clock.runFor(lab.prng.fraction() * 100)
      machine.cutPower()
      await machine.start({ durability: 'bucket', tailUploadMs: 0 })
    }
  })

  it('takes one round of the store for all that came meanwhile, and answers in the order of the log', async () => {
    const lab = new RecoveryLab()
    const first = await lab.machine()
    await first.start({ durability: 'bucket' })
    const { lab: log } = first.running
    await log.topic('topic')
    let pieces = 0
    lab.bucket.onCall = ({ key, verb }) => {
      if (verb === 'put' && key.startsWith('metalog/')) pieces++
      return null
    }
    const answered: number[] = []
    for (let i = 0; i < 200; i++) {
      void log.send(log.batch(log.partition())).then(({ baseOffset }) => answered.push(baseOffset))
      await lab.clock.runFor(1)
    }
    await lab.clock.runFor(200)
    expect(answered).toEqual(Array.from({ length: 200 }, (_, i) => i))
    expect(pieces).toBeLessThan(40)
  })

  it('answers nothing while the store is away, and everything when it is back', async () => {
    const lab = new RecoveryLab()
    const first = await lab.machine()
    await first.start({ durability: 'bucket' })
    const { lab: log } = first.running
    await log.topic('topic')
    lab.bucket.onCall = ({ key }) => (key.startsWith('metalog/') ? 'unavailable' : null)
    let answered = 0
    for (let i = 0; i < 5; i++) void log.send(log.batch(log.partition())).then(() => answered++)
    await lab.clock.runFor(20_000)
    expect(answered).toBe(0)
    lab.bucket.onCall = () => null
    await lab.clock.runFor(6000)
    expect(answered).toBe(5)
  })
})

describe('what the owner says of its durability', () => {
  const refusing = (keys: RegExp) => (call: StoreCall) =>
    call.verb === 'put' && keys.test(call.key) ? ('unavailable' as const) : null

  /** Acknowledged by the disk alone: the store has not even heard of it. */
  async function withUnarchived() {
    const lab = new RecoveryLab()
    const first = await lab.machine()
    await first.start()
    await first.running.lab.topic('topic')
    await lab.clock.runFor(2000)
    lab.bucket.onCall = refusing(/^(metalog|checkpoints)/)
    await first.running.lab.append(first.running.lab.partition())
    first.kill()
    return { lab, first }
  }

  it('is not the bucket before what came without it is there, too', async () => {
    const { lab, first } = await withUnarchived()
    await expect(first.start({ durability: 'bucket' })).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
    lab.bucket.onCall = () => null
    const second = await lab.machine()
    expect((await second.lookAtRestore({ atMs: null })).isComplete).toBe(false)
  })

  it('is not the bucket before the records that came without it are there, though the log is', async () => {
    const lab = new RecoveryLab()
    const first = await lab.machine()
    first.tailedFrom = 1000
    await first.start()
    await first.running.lab.topic('topic')
    await first.running.lab.append(first.running.lab.partition())
    await lab.clock.runFor(2000)
    first.kill()
    lab.bucket.onCall = refusing(/^tail/)
    await first.start({ durability: 'bucket' })
    await lab.clock.runFor(5000)
    first.kill()
    lab.bucket.onCall = () => null
    await lab.clock.runFor(12_000)
    // It would be refused if the records should be there.
    const second = await lab.machine()
    await second.start()
    expect(second.running.lab.partition().nextOffset).toBe(0)
  })

  it.each(['kill', 'stop'] as const)('is the bucket as soon as everything is there, after a %s', async end => {
    const lab = new RecoveryLab()
    const first = await lab.machine()
    const settings = { durability: 'bucket', takeoverAfterMs: 3_600_000 } as const
    await first.start(settings)
    await first.running.lab.topic('topic')
    void first.running.lab.send(first.running.lab.batch(first.running.lab.partition()))
    await lab.clock.runFor(2)
    await first[end]()
    await first.start(settings)
    await lab.clock.runFor(1000)
    const second = await lab.machine()
    expect((await second.lookAtRestore({ atMs: null })).isComplete).toBe(true)
  })
})
