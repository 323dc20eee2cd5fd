import type { Lab } from './lab.ts'
import { type Flags, numberOf } from './load.ts'
import { atMost, type Figures, type Line, type Row } from './row.ts'
import { timeStart } from './startup.ts'

const VALUE_BYTES = 1024
const WAL_RECORDS = 10_000_000

/** After kill -9 with this much in the log. Every record is read back after the restart. */
export const startAfterKill: Row = recoveryRow({
  name: 'start-after-kill',
  title: 'start after kill -9, 10 GB in the log',
  lines: [{ figure: 'first_ack_ms', goal: atMost(2000) }, { figure: 'broker_rss_mb' }],
  flags: quick => ({ raw: true, partitions: 3, size: VALUE_BYTES, records: quick ? WAL_RECORDS / 10 : WAL_RECORDS }),
})

/** After kill -9 with this many partitions, each of which holds records. */
export const startManyPartitions: Row = recoveryRow({
  name: 'start-10k-partitions',
  title: 'start after kill -9, 10,000 partitions',
  lines: [
    { figure: 'first_ack_ms', goal: atMost(3000) },
    { figure: 'broker_rss_mb', goal: atMost(400) },
  ],
  flags: () => ({ topics: 1000, partitions: 10, size: 100, records: 100_000 }),
})

interface Recovery {
  readonly name: string
  readonly title: string
  readonly lines: readonly Line[]
  /** What the stream writes before the kill. */
  flags(quick: boolean): Flags
}

function recoveryRow(recovery: Recovery): Row {
  const { name, title, lines } = recovery
  return { name, title, lines, targets: ['ours'], once: true, warm: false, measure: lab => measure(lab, recovery) }
}

async function measure(lab: Lab, recovery: Recovery): Promise<Figures> {
  const flags = recovery.flags(lab.quick)
  const before = await lab.start('ours', lab.freshDir('ours'))
  const written = await lab.loadOn(before, 'stream', flags)
  await lab.kill(before)
  const { broker, figures } = await timeStart(lab, 'ours', before.dir)
  await lab.loadOn(broker, 'verify', { ...flags, run: String(written.run), records: numberOf(written, 'records') })
  await lab.stop(broker)
  return figures
}
