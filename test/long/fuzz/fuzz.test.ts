import { describe, expect, it } from 'vitest'
import { fuzz } from '#test/fuzz/fuzz.ts'
import { scaled } from '#test/support/scale.ts'

describe('damaged requests of every API and version', () => {
  it.each([1, 2, 3, 4])('are answered or close their connection, and leave the broker well (seed %i)', async seed => {
    const requests = scaled(50_000)
    const figures = await fuzz({ seed, requests })
    expect(figures.answered).toBeGreaterThan(requests / 10)
    expect(figures.closed).toBeGreaterThan(requests / 5)
  })
})
