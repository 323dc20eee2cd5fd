import { describe, expect, it } from 'vitest'
import { fuzz } from '#test/fuzz/fuzz.ts'

describe('damaged requests of every API and version', () => {
  it.each([1, 2, 3, 4])(
    'are answered or close their connection, and leave the broker well (50,000, seed %i)',
    async seed => {
      const figures = await fuzz({ seed, requests: 50_000 })
      expect(figures.answered).toBeGreaterThan(5000)
      expect(figures.closed).toBeGreaterThan(10_000)
    },
  )
})
