import { describe, expect, it } from 'vitest'
import { ReadAhead } from '#object-store/read-ahead.ts'

const LIMITS = { blockBytes: 10, windowBlocks: 32, fetchBlocks: 8 }

/** A reader that takes some blocks at a time: what is fetched ahead of it at each step. */
function follow(steps: readonly (readonly [first: number, end: number])[], endBlock = Number.POSITIVE_INFINITY) {
  const readAhead = new ReadAhead<string>(LIMITS)
  return steps.map(([first, end]) => {
    const { trail } = readAhead.note('a', first * 10, end * 10)
    const wanted = readAhead.wanted(trail, endBlock)
    if (wanted === null) return null
    trail.aheadTo = wanted.end
    return [wanted.first, wanted.end]
  })
}

describe('what is fetched ahead of a reader', () => {
  it('is nothing for who reads here and there', () => {
    expect(follow([5, 9, 3, 20].map(block => [block, block + 1] as const))).toEqual([null, null, null, null])
  })

  it('is more with each step, up to the window, in large requests', () => {
    const steps = Array.from({ length: 16 }, (_, block) => [block, block + 1] as const)
    const fetched = follow(steps)
    expect(fetched.slice(0, 4)).toEqual([[1, 5], [5, 13], [13, 29], null])
    expect(fetched.slice(4)).toEqual([[29, 37], ...Array(7).fill(null), [37, 45], null, null, null])
  })

  it('begins at once at the begin of an object, elsewhere with the second step', () => {
    expect(follow([[0, 1]])).toEqual([[1, 5]])
    expect(
      follow([
        [5, 6],
        [6, 7],
      ]),
    ).toEqual([null, [7, 11]])
  })

  it('ends with the object, however little is left', () => {
    const steps = Array.from({ length: 10 }, (_, block) => [block, block + 1] as const)
    const fetched = follow(steps, 10).filter(blocks => blocks !== null)
    expect(fetched.at(-1)?.[1]).toBe(10)
    expect(follow([[9, 10]], 10)).toEqual([null])
  })

  it('is the same in whatever pieces it is read', () => {
    const readAhead = new ReadAhead<string>(LIMITS)
    let fetchedTo = 0
    for (let from = 0; from < 1000; from += 7) {
      const { trail } = readAhead.note('a', from, from + 7)
      const wanted = readAhead.wanted(trail, 1000)
      if (wanted === null) continue
      if (fetchedTo > 0) expect(wanted.first).toBe(fetchedTo)
      fetchedTo = trail.aheadTo = wanted.end
    }
    expect(fetchedTo).toBeGreaterThan(120)
    expect(fetchedTo).toBeLessThanOrEqual(133)
  })

  it('is not more for who reads the same again', () => {
    expect(
      follow([
        [5, 7],
        [6, 7],
        [6, 7],
        [5, 7],
      ]),
    ).toEqual([null, null, null, null])
  })

  it('is known for each of several readers of an object', () => {
    const readAhead = new ReadAhead<string>(LIMITS)
    const trails = [5, 1000, 2000].map(from => readAhead.note('a', from, from + 10).trail)
    for (const [i, from] of [15, 1010, 2010].entries()) {
      expect(readAhead.note('a', from, from + 10).trail).toBe(trails[i])
    }
    expect(readAhead.note('b', 25, 35).trail).not.toBe(trails[0])
  })

  it('is known of some readers, not of any number', () => {
    const readAhead = new ReadAhead<string | number>(LIMITS)
    readAhead.note('a', 70, 80)
    for (let from = 1000; from < 10_000; from += 1000) readAhead.note('a', from, from + 10)
    expect(readAhead.note('a', 80, 90).trail.windowBlocks).toBe(0)
    for (let owner = 0; owner < 512; owner++) readAhead.note(owner, 70, 80)
    expect(readAhead.note('a', 90, 100).trail.windowBlocks).toBe(0)
  })
})

describe('a block', () => {
  it('is new to a reader that has not just read it', () => {
    const readAhead = new ReadAhead<string>(LIMITS)
    const newFrom = (from: number, to: number) => readAhead.note('a', from, to).newFrom
    expect(newFrom(52, 75)).toBe(5)
    expect(newFrom(75, 78)).toBe(8)
    expect(newFrom(78, 95)).toBe(8)
    expect(newFrom(95, 96)).toBe(10)
  })

  it('is new to who begins again', () => {
    const readAhead = new ReadAhead<string>(LIMITS)
    for (let again = 0; again < 3; again++) expect(readAhead.note('a', 52, 75).newFrom).toBe(5)
  })
})
