import type { Target } from './brokers.ts'
import type { Lab } from './lab.ts'

/** What can be measured. The load program reports most of these under the same names. */
export const FIGURES = {
  records_s: { title: 'records/s', digits: 0 },
  mb_s: { title: 'MB/s', digits: 0 },
  p50_ms: { title: 'p50 ms', digits: 2 },
  p99_ms: { title: 'p99 ms', digits: 2 },
  of_wal: { title: 'of the rate from the write-ahead log', digits: 2 },
  of_pace: { title: 'of the pace', digits: 2 },
  copied_share: { title: 'of the bytes copied before they were sealed', digits: 3 },
  upload_lag_s: { title: 's behind at most', digits: 1 },
  requests_mb: { title: 'requests a MB', digits: 2 },
  commits_s: { title: 'commits/s', digits: 0 },
  of_one_topic: { title: 'of the rate with one topic', digits: 2 },
  of_idempotent: { title: 'of the rate without transactions', digits: 2 },
  of_unsealed: { title: 'of the rate with nothing sealed', digits: 2 },
  p99_of_unsealed: { title: 'p99, of that with nothing sealed', digits: 2 },
  of_uncommitted: { title: 'of the rate of uncommitted reads', digits: 2 },
  first_ack_ms: { title: 'ms from exec to the first ack', digits: 0 },
  cpu_percent: { title: '% of a core', digits: 2 },
  broker_cpu: { title: 'cores busy', digits: 2 },
  broker_rss_mb: { title: 'RSS MB', digits: 0 },
  broker_peak_rss_mb: { title: 'peak RSS MB', digits: 0 },
} as const

export type Figure = keyof typeof FIGURES
export type Figures = Partial<Record<Figure, number>>

/** What our figure is held against: a number, or so many times that of Apache Kafka as shipped. */
export interface Goal {
  readonly direction: 'at least' | 'at most'
  readonly bound: number
  readonly of: 'number' | 'kafka'
}

export const atLeast = (bound: number): Goal => ({ direction: 'at least', bound, of: 'number' })
export const atMost = (bound: number): Goal => ({ direction: 'at most', bound, of: 'number' })
export const atLeastTimesKafka = (bound: number): Goal => ({ direction: 'at least', bound, of: 'kafka' })
export const atMostTimesKafka = (bound: number): Goal => ({ direction: 'at most', bound, of: 'kafka' })

export interface Line {
  readonly figure: Figure
  readonly goal?: Goal
}

export interface Row {
  /** What --only matches. */
  readonly name: string
  readonly title: string
  readonly targets: readonly Target[]
  readonly lines: readonly Line[]
  /** Measured once, however many runs are asked for: it takes long and fills the disk. */
  readonly once: boolean
  /** Has an unmeasured run before the first, for the compilers of the JVM and of V8. */
  readonly warm: boolean
  measure(lab: Lab, target: Target, warmUp: boolean): Promise<Figures>
}

/** True if ours meets the goal, undefined if there is nothing to compare it with. */
export function meets(goal: Goal, ours: number | undefined, kafka: number | undefined): boolean | undefined {
  const bound = goal.of === 'kafka' ? (kafka === undefined ? undefined : kafka * goal.bound) : goal.bound
  if (ours === undefined || bound === undefined) return undefined
  return goal.direction === 'at least' ? ours >= bound : ours <= bound
}
