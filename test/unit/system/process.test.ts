import { describe, expect, it } from 'vitest'
import { systemProcess } from '#system/process.ts'
import { until } from '#test/support/until.ts'

describe('the process', () => {
  it('calls for a stop signal instead of stopping, until that is undone', async () => {
    const signals: string[] = []
    const undo = systemProcess.onStopSignal(signal => void signals.push(signal))
    process.kill(process.pid, 'SIGTERM')
    await until('the signal', () => signals.length === 1)
    process.kill(process.pid, 'SIGINT')
    await until('the other signal', () => signals.length === 2)
    expect(signals).toEqual(['SIGTERM', 'SIGINT'])
    const listeners = process.listenerCount('SIGTERM')
    undo()
    expect(process.listenerCount('SIGTERM')).toBe(listeners - 1)
  })

  it('knows how much memory it has', () => {
    const { residentBytes, heapUsedBytes, externalBytes } = systemProcess.memory()
    expect(residentBytes).toBeGreaterThan(heapUsedBytes)
    expect(heapUsedBytes).toBeGreaterThan(0)
    expect(externalBytes).toBeGreaterThan(0)
  })
})
