import { describe, expect, it } from 'vitest'
import { encodeState } from '#core/checkpoint.ts'
import { RecoveryLab } from '#test/support/recovery-lab.ts'

describe('a machine that is lost', () => {
  it('is made anew from the bucket', async () => {
    const lab = new RecoveryLab()
    const first = await lab.machine()
    await first.start()
    const { lab: log } = first.running
    const topic = await log.topic('orders', 2)
    await log.appendMany(topic.partitions[0]!, 5)
    await first.seal([topic.partitions[0]!])
    await log.appendMany(topic.partitions[0]!, 3)
    await log.appendMany(topic.partitions[1]!, 4)
    await lab.clock.runFor(3000)
    const before = await Promise.all([first.content(topic.partitions[0]!)])
    first.kill()

    await lab.clock.runFor(12_000)
    const second = await lab.machine()
    await second.start()
    const restored = second.log.state.topics.get('orders')!
    expect(await second.content(restored.partitions[0]!)).toEqual(before[0])
    expect(restored.partitions.map(({ nextOffset }) => nextOffset)).toEqual([8, 4])
    expect(second.log.state.generation).toBe(2)
  })

  it('that was stopped while a checkpoint was written has everything in the bucket', async () => {
    const lab = new RecoveryLab()
    const first = await lab.machine()
    // As if all of it would be sealed soon.
    first.tailedFrom = Number.POSITIVE_INFINITY
    await first.start({ checkpointRecords: 1 })
    const { lab: log } = first.running
    await log.topic('topic')
    let isUnderWay = false
    lab.bucket.onCall = ({ verb, key }) => {
      isUnderWay ||= verb === 'put' && key.startsWith('checkpoints/')
      return null
    }
    let count = 0
    while (!isUnderWay) {
      void log.send(log.batch(log.partition()))
      count++
      const nextMs = lab.clock.monotonicMs() + 500
      await lab.clock.runUntil(() => isUnderWay || lab.clock.monotonicMs() >= nextMs)
    }
    await first.stop()
    const second = await lab.machine()
    await second.start()
    expect(count).toBeGreaterThan(5)
    expect(second.running.lab.partition().nextOffset).toBe(count)
  })

  it('that was stopped has everything in the bucket, though nothing is copied before', async () => {
    const lab = new RecoveryLab()
    const first = await lab.machine()
    await first.start({ tailUploadMs: 0 })
    const { lab: log } = first.running
    await log.topic('topic')
    await log.appendMany(log.partition(), 5)
    await lab.clock.runFor(5000)
    expect(lab.keys.filter(key => key.startsWith('tail/'))).toEqual([])
    const content = await first.content(log.partition())
    await first.stop()
    const second = await lab.machine()
    await second.start({ tailUploadMs: 0 })
    expect(await second.content(second.running.lab.partition())).toEqual(content)
  })

  it('that was stopped while something was staged has that in the bucket, too', async () => {
    const lab = new RecoveryLab()
    const first = await lab.machine()
    first.gather = { batches: 100, delayMs: 500, whenIdle: true }
    await first.start()
    const { lab: log } = first.running
    await log.topic('topic')
    let answered = 0
    void log.send(log.batch(log.partition())).then(() => answered++)
    await first.stop()
    expect(answered).toBe(1)
    const second = await lab.machine()
    await second.start()
    expect(second.running.lab.partition().nextOffset).toBe(1)
  })

  it('that was stopped comes back as it was', async () => {
    const lab = new RecoveryLab()
    const first = await lab.machine()
    await first.start()
    const topic = await first.running.lab.topic('orders', 2)
    await first.running.lab.appendMany(topic.partitions[0]!, 5)
    await first.seal(topic.partitions)
    const { state } = first.log
    await first.stop()
    const second = await lab.machine()
    await second.start()
    const restored = second.log.state
    restored.generation = state.generation
    restored.ownerId = state.ownerId
    restored.timeMs = state.timeMs
    expect(encodeState(restored).equals(encodeState(state))).toBe(true)
  })
})
