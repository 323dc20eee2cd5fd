import type { Broker } from './brokers.ts'
import type { Lab } from './lab.ts'
import { type Flags, numberOf } from './load.ts'
import { undisturbed } from './loads.ts'
import { atLeast, atMost, type Figures, type Row } from './row.ts'

/** A log that is never sealed. The other one is sealed into a directory beside it, an object each 64 MiB. */
const NEVER = ['--seal-max-bytes 1073741824', '--seal-max-ms 86400000']
const FLAGS = ['--wal-limit-bytes 34359738368']
const PAIRS = 5
const VALUE_BYTES = 1024
const CONNECTIONS = 128
/** So large that objects are written while latencies are measured. */
const CLOSED_BYTES = 16_384

/** Two brokers in turns: what sealing takes from those who produce. */
export const sealing: Row = {
  name: 'sealing',
  title: 'stream 1 KB, and one record of 16 KiB each on 128 connections, while it is sealed',
  targets: ['ours'],
  once: false,
  warm: false,
  lines: [
    { figure: 'of_unsealed', goal: atLeast(0.85) },
    { figure: 'p99_of_unsealed', goal: atMost(1.3) },
    { figure: 'mb_s' },
    { figure: 'broker_cpu' },
    { figure: 'broker_peak_rss_mb' },
  ],
  measure: async (lab, target) => {
    const sealed = await lab.start(target, lab.freshDir(target), { flags: FLAGS })
    const never = await lab.start(target, lab.freshDir(target), { flags: [...FLAGS, ...NEVER] })
    try {
      return await compare(lab, sealed, never)
    } finally {
      await lab.stop(never)
      await lab.stop(sealed)
    }
  },
}

async function compare(lab: Lab, sealed: Broker, never: Broker): Promise<Figures> {
  const records = lab.quick ? 400_000 : 1_000_000
  const stream = { raw: true, size: VALUE_BYTES, records }
  const closed = { size: CLOSED_BYTES, conc: CONNECTIONS, warmup: '1s', seconds: lab.quick ? '3s' : '4s' }
  const found: Figures[] = []
  for (let pair = 0; pair < PAIRS; pair++) {
    const streams = await both(lab, [sealed, never], 'stream', stream)
    const latencies = await both(lab, [sealed, never], 'closed-conns', closed)
    found.push({
      of_unsealed: streams.sealed.mb_s! / streams.never.mb_s!,
      p99_of_unsealed: latencies.sealed.p99_ms! / latencies.never.p99_ms!,
      ...streams.sealed,
    })
  }
  const median = (figure: keyof Figures) => found.map(figures => figures[figure]!).sort((a, b) => a - b)[PAIRS >> 1]!
  return {
    of_unsealed: median('of_unsealed'),
    p99_of_unsealed: median('p99_of_unsealed'),
    mb_s: median('mb_s'),
    broker_cpu: median('broker_cpu'),
    broker_peak_rss_mb: median('broker_peak_rss_mb'),
  }
}

async function both(lab: Lab, [sealed, never]: [Broker, Broker], mode: string, flags: Flags) {
  const figures = async (broker: Broker): Promise<Figures> => {
    const result = await undisturbed(lab, () => lab.loadOn(broker, mode, flags))
    const of = (name: string) => numberOf(result, name)
    const about = { broker_cpu: of('broker_cpu'), broker_peak_rss_mb: of('broker_peak_rss_mb') }
    return mode === 'stream' ? { ...about, mb_s: of('mb_s') } : { p99_ms: of('p99_ms') }
  }
  return { sealed: await figures(sealed), never: await figures(never) }
}
