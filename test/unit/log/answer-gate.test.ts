import { describe, expect, it } from 'vitest'
import type { ChronikError } from '#base/errors.ts'
import { LogLab } from '#test/support/log-lab.ts'

const configs = new Map<string, string>()

describe('a log whose answers are held back', () => {
  it('applies at once, and answers in its order when it may', async () => {
    let upTo = Number.POSITIVE_INFINITY
    const positions: number[] = []
    const lab = await LogLab.open({
      mayAnswer: endPosition => endPosition <= upTo,
      committed: (_position, endPosition) => positions.push(endPosition),
    })
    await lab.topic('topic')
    upTo = positions.at(-1)!
    const answered: string[] = []
    void lab.send(lab.batch(lab.partition())).then(({ baseOffset }) => answered.push(`batch ${baseOffset}`))
    await lab.clock.runFor(50)
    const change = { kind: 'topic-created', id: 'b', name: 'b', partitionCount: 1, configs } as const
    void lab.log.propose(change).then(outcome => answered.push(outcome))
    await lab.clock.runFor(50)

    expect([lab.partition().nextOffset, lab.log.state.topics.has('b')]).toEqual([1, true])
    expect(answered).toEqual([])
    lab.log.answerHeld()
    await lab.clock.runFor(0)
    expect(answered).toEqual([])

    upTo = positions.at(-2)!
    lab.log.answerHeld()
    await lab.clock.runFor(0)
    expect(answered).toEqual(['batch 0'])
    upTo = positions.at(-1)!
    void lab.send(lab.batch(lab.partition())).then(({ baseOffset }) => answered.push(`batch ${baseOffset}`))
    await lab.clock.runFor(50)
    expect(answered).toEqual(['batch 0'])
    upTo = Number.POSITIVE_INFINITY
    lab.log.answerHeld()
    await lab.clock.runFor(0)
    expect(answered).toEqual(['batch 0', 'NONE', 'batch 1'])
  })

  it('tells who waits for a change when the log is closed first', async () => {
    let open = true
    const lab = await LogLab.open({ mayAnswer: () => open })
    await lab.topic('topic')
    open = false
    const refusals: unknown[] = []
    const change = { kind: 'topic-created', id: 'b', name: 'b', partitionCount: 1, configs } as const
    void lab.log.propose(change).catch(error => refusals.push(error))
    await lab.clock.runFor(50)
    await lab.clock.run(lab.log.close())
    expect(refusals.map(error => (error as ChronikError).code)).toEqual(['LOG_CLOSED'])
    // Nor will it ever be said to be done.
    await expect(lab.log.answered()).rejects.toMatchObject({ code: 'LOG_CLOSED' })
  })
})
