import { monitorEventLoopDelay } from 'node:perf_hooks'

export interface EventLoopMonitor {
  /** How late timers came since the last reading. */
  read(): { p99Seconds: number; maxSeconds: number }
  stop(): void
}

// Every look wakes the process: at 10 ms an idle one uses 0.8 % of a core, at 100 ms 0.1 %.
const PERIOD_MS = 100

export function monitorEventLoop(): EventLoopMonitor {
  const histogram = monitorEventLoopDelay({ resolution: PERIOD_MS })
  histogram.enable()
  // It has the time between two looks in nanoseconds: the period and the delay.
  const delaySeconds = (betweenNs: number) => Math.max(0, betweenNs / 1e9 - PERIOD_MS / 1000)
  return {
    read: () => {
      if (histogram.count === 0) return { p99Seconds: 0, maxSeconds: 0 }
      const p99Seconds = delaySeconds(histogram.percentile(99))
      const maxSeconds = delaySeconds(histogram.max)
      histogram.reset()
      return { p99Seconds, maxSeconds }
    },
    stop: () => {
      histogram.disable()
    },
  }
}
