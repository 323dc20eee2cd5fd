import { describe, expect, it } from 'vitest'
import { followChain } from '#tier/verify/chain.ts'

const at = (...positions: number[]) => positions.map(position => ({ generation: 1, position }))
const pieces = (...ranges: [from: number, to: number][]) => ranges.map(([from, to]) => ({ generation: 1, from, to }))

describe('the archive of a generation', () => {
  it('can be followed where each piece begins where the one before ends', () => {
    expect(followChain(at(0, 20), pieces([0, 10], [10, 20], [20, 25]))).toEqual({ breaks: [], end: 25 })
  })

  it('begins with its oldest checkpoint, whatever is before that', () => {
    expect(followChain(at(10), pieces([2, 5], [5, 12], [12, 15]))).toEqual({ breaks: [], end: 15 })
    expect(followChain([], pieces([0, 10]))).toEqual({ breaks: [], end: -1 })
  })

  it('may have pieces that overlap, in any order', () => {
    expect(followChain(at(0), pieces([5, 20], [0, 10], [0, 5], [20, 30]))).toEqual({ breaks: [], end: 30 })
  })

  it('is broken where a piece is missing', () => {
    const breaks = [{ from: 10, to: 20, isBridged: false }]
    expect(followChain(at(0, 30), pieces([0, 10], [20, 30], [30, 40]))).toEqual({ breaks, end: 40 })
  })

  it('loses only the moments between, where a checkpoint goes on', () => {
    const breaks = [{ from: 10, to: 20, isBridged: true }]
    expect(followChain(at(0, 20), pieces([0, 10], [20, 30]))).toEqual({ breaks, end: 30 })
    expect(followChain(at(0, 20), pieces([0, 10]))).toEqual({ breaks, end: 20 })
  })

  it('is broken where the checkpoint does not reach the next piece', () => {
    const breaks = [
      { from: 10, to: 15, isBridged: true },
      { from: 15, to: 20, isBridged: false },
    ]
    expect(followChain(at(0, 15), pieces([0, 10], [20, 30]))).toEqual({ breaks, end: 30 })
  })
})
