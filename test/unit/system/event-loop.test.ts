import { expect, it } from 'vitest'
import { monitorEventLoop } from '#system/event-loop.ts'

it('the event loop monitor sees a long call, and forgets it when it was read', async () => {
  const monitor = monitorEventLoop()
  expect(monitor.read()).toEqual({ p99Seconds: 0, maxSeconds: 0 })
  // The period is 100 ms, and the first look only starts the measurement.
  await new Promise(resolve => setTimeout(resolve, 250))
  const untilMs = performance.now() + 300
  while (performance.now() < untilMs);
  await new Promise(resolve => setTimeout(resolve, 250))
  expect(monitor.read().maxSeconds).toBeGreaterThan(0.15)
  expect(monitor.read()).toEqual({ p99Seconds: 0, maxSeconds: 0 })
  monitor.stop()
})
