import type { Target } from './brokers.ts'
import type { Lab } from './lab.ts'
import { type Flags, figuresOf, type LoadResult, numberOf } from './load.ts'
import { atMost, type Figures, type Line, type Row } from './row.ts'

const ALL: readonly Target[] = ['ours', 'kafka', 'kafka-flush']
const NOISY_CORES = 0.4
const ATTEMPTS = 2
const PEAK_RSS_MB = 600

export interface Spec {
  readonly name: string
  readonly title: string
  readonly mode: string
  readonly flags?: Flags
  /** Either so many records, or a measured time of so many seconds, or what the flags say. */
  readonly records?: number
  readonly seconds?: number
  readonly lines: readonly Line[]
}

/** A row of load on the broker that all these rows share; what was acknowledged is read back each time. */
export function loadRow(spec: Spec): Row {
  return {
    name: spec.name,
    title: spec.title,
    targets: ALL,
    once: false,
    warm: true,
    lines: [...spec.lines, { figure: 'broker_cpu' }, { figure: 'broker_peak_rss_mb', goal: atMost(PEAK_RSS_MB) }],
    measure: (lab, target, warmUp) => measure(lab, target, spec, warmUp),
  }
}

async function measure(lab: Lab, target: Target, spec: Spec, warmUp: boolean): Promise<Figures> {
  const broker = await lab.shared(target)
  const flags = { ...spec.flags, ...extent(spec, lab.quick || warmUp) }
  if (warmUp) return figuresOf(await lab.loadOn(broker, spec.mode, { ...flags, settle: '0s' }))
  const verify = spec.mode !== 'consume' // which reads and counts everything anyway
  return figuresOf(await undisturbed(lab, () => lab.loadOn(broker, spec.mode, { ...flags, verify })))
}

function extent(spec: Spec, short: boolean): Flags {
  if (spec.records !== undefined) return { records: short ? spec.records / 5 : spec.records }
  if (spec.seconds === undefined) return {}
  return short ? { warmup: '1s', seconds: '2s' } : { warmup: '3s', seconds: `${spec.seconds}s` }
}

/** Repeats a run while something else works on the machine. */
export async function undisturbed(lab: Lab, run: () => Promise<LoadResult>): Promise<LoadResult> {
  let result = await run()
  for (let attempt = 1; attempt < ATTEMPTS && !lab.quick && numberOf(result, 'other_cpu') > NOISY_CORES; attempt++) {
    result = await run()
  }
  return result
}
