import { getEventListeners } from 'node:events'
import { describe, expect, it } from 'vitest'
import { Slots } from '#object-store/slots.ts'

const patient = new AbortController().signal

/** Work that goes on until it is told to end. */
function work() {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  return { promise, resolve, reject }
}

const turn = () => new Promise(resolve => setImmediate(resolve))

describe('slots', () => {
  it('let so many work at once, and the others in the order in which they came', async () => {
    const slots = new Slots(2)
    const all = [work(), work(), work(), work()]
    const begun: number[] = []
    const done = all.map((each, i) =>
      slots.use(patient, () => {
        begun.push(i)
        return each.promise
      }),
    )
    await turn()
    expect(begun).toEqual([0, 1])
    all[1]!.resolve()
    await turn()
    expect(begun).toEqual([0, 1, 2])
    all[0]!.reject(new Error('failed'))
    await expect(done[0]).rejects.toThrow('failed')
    await turn()
    expect(begun).toEqual([0, 1, 2, 3])
    all[2]!.resolve()
    all[3]!.resolve()
    await Promise.all(done.slice(1))
    await slots.use(patient, async () => begun.push(4))
    expect(begun).toEqual([0, 1, 2, 3, 4])
  })

  it('let go of who does not want to wait any more', async () => {
    const slots = new Slots(1)
    const first = work()
    const done = slots.use(patient, () => first.promise)
    const controller = new AbortController()
    const reason = new Error('enough')
    const second = slots.use(controller.signal, async () => 'never')
    const third = slots.use(patient, async () => 'third')
    controller.abort(reason)
    await expect(second).rejects.toBe(reason)
    await expect(slots.use(controller.signal, async () => 'never')).rejects.toBe(reason)
    first.resolve()
    await done
    expect(await third).toBe('third')
    expect(await slots.use(patient, async () => 'free')).toBe('free')
    expect(getEventListeners(patient, 'abort')).toHaveLength(0)
  })
})
