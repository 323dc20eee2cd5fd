import { describe, expect, it } from 'vitest'
import { fuzz } from './fuzz.ts'

describe('damaged requests of every API and version', () => {
  it('are answered or close their connection, and leave the broker well (3,000)', async () => {
    const figures = await fuzz({ seed: 20261121, requests: 3000 })
    expect(figures.answered).toBeGreaterThan(500)
    expect(figures.closed).toBeGreaterThan(500)
    expect(figures.commits).toBeGreaterThan(0)
  }, 60_000)
})
