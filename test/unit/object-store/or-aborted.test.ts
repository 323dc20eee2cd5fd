import { describe, expect, it } from 'vitest'
import { orAborted } from '#object-store/or-aborted.ts'

describe('who waits for something or the end of a signal', () => {
  it('gets what comes first', async () => {
    const stop = new AbortController()
    expect(await orAborted(Promise.resolve(1), stop.signal)).toBe(1)
    await expect(orAborted(Promise.reject(new Error('no')), stop.signal)).rejects.toThrow('no')
    const waiting = orAborted(new Promise(() => {}), stop.signal)
    stop.abort(new Error('enough'))
    await expect(waiting).rejects.toThrow('enough')
    await expect(orAborted(Promise.resolve(1), stop.signal)).rejects.toThrow('enough')
  })

  it('does not leave alone what comes all the same', async () => {
    const stop = new AbortController()
    const late: number[] = []
    const { promise, resolve } = Promise.withResolvers<number>()
    const waiting = orAborted(promise, stop.signal, value => late.push(value))
    const failing = orAborted(Promise.reject(new Error('later')), AbortSignal.abort(new Error('enough')))
    stop.abort()
    await expect(waiting).rejects.toThrow()
    await expect(failing).rejects.toThrow('enough')
    resolve(7)
    await promise
    expect(late).toEqual([7])
  })
})
