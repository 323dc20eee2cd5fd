import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'

const MB = 2 ** 20

function pass(records: number, keys: number, mapBytes: number): Record<string, number> {
  const program = fileURLToPath(new URL('./large-pass.ts', import.meta.url))
  const run = spawnSync(process.execPath, [program, `${records}`, `${keys}`, `${mapBytes}`], { encoding: 'utf8' })
  expect(run.status, run.stderr).toBe(0)
  return JSON.parse(run.stdout) as Record<string, number>
}

describe('the memory of a pass', () => {
  it('over 10 million records with 1 million keys is at most 256 MB, all of the process', () => {
    const result = pass(10_000_000, 1_000_000, 64 * MB)
    expect(result).toMatchObject({ mapTo: 10_000_000, records: 10_000_000, keptRecords: result.mapSize })
    expect(result.mapSize).toBeGreaterThan(999_000)
    expect(result.maxResidentBytes).toBeLessThan(256 * MB)
  })

  it('is no more when there are more keys than have room: it ends earlier', () => {
    const result = pass(10_000_000, 2 ** 40, 64 * MB)
    expect(result.mapTo).toBeLessThan(10_000_000)
    expect(result.mapTo).toBeGreaterThanOrEqual(result.capacity! - 100)
    expect(result).toMatchObject({ mapSize: result.capacity, records: result.mapTo })
    expect(result.maxResidentBytes).toBeLessThan(256 * MB)
  })
})
