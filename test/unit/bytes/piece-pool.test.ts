import { describe, expect, it } from 'vitest'
import { isInPageMemory, PIECE_BYTES, PiecePool } from '#bytes/piece-pool.ts'

describe('a pool of pieces', () => {
  it('gives what was given back last, and pieces that are not in use', () => {
    const pool = new PiecePool(3 * PIECE_BYTES)
    const pieces = [pool.take(), pool.take(), pool.take()]
    for (const [i, piece] of pieces.entries()) piece.fill(i)
    expect(pieces.map(piece => [piece.length, piece[0], piece.at(-1), piece.byteOffset % PIECE_BYTES])).toEqual([
      [PIECE_BYTES, 0, 0, 0],
      [PIECE_BYTES, 1, 1, 0],
      [PIECE_BYTES, 2, 2, 0],
    ])
    pool.give(pieces[1]!)
    expect(pool.take()).toBe(pieces[1])
  })

  it('has more than is reserved, but does not keep it', () => {
    const pool = new PiecePool(PIECE_BYTES)
    const [kept, more] = [pool.take(), pool.take()]
    expect([isInPageMemory(kept), isInPageMemory(more), more.length]).toEqual([true, false, PIECE_BYTES])
    pool.give(more)
    pool.give(kept)
    expect(pool.take()).toBe(kept)
    expect(pool.take()).not.toBe(more)
  })
})
