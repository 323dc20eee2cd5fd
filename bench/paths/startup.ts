import { type Broker, freePort, residentMb, type Target } from './brokers.ts'
import type { Lab } from './lab.ts'
import { numberOf } from './load.ts'
import { atMost, type Figures, type Row } from './row.ts'

const FIRST_ACK_MS = 1000

/** From exec to the first acknowledged record, on an empty directory. */
export const startEmpty: Row = {
  name: 'start-empty',
  title: 'start on an empty directory',
  targets: ['ours', 'kafka'],
  once: false,
  warm: false,
  lines: [{ figure: 'first_ack_ms', goal: atMost(FIRST_ACK_MS) }, { figure: 'broker_rss_mb' }],
  measure: async (lab, target) => {
    const { broker, figures } = await timeStart(lab, target, lab.freshDir(target))
    await lab.stop(broker)
    return figures
  },
}

/** Starts a broker while a client tries to produce. For Kafka this includes formatting an empty directory. */
export async function timeStart(
  lab: Lab,
  target: Target,
  dir: string,
  flags: readonly string[] = [],
): Promise<{ broker: Broker; figures: Figures }> {
  const port = await freePort()
  const tries = Promise.withResolvers<void>()
  const first = lab.load('first', { brokers: `127.0.0.1:${port}` }, line => line === 'trying' && tries.resolve())
  await Promise.race([tries.promise, first])
  const executedUnixMs = performance.timeOrigin + performance.now()
  const [broker, acked] = await Promise.all([lab.start(target, dir, { port, flags }), first])
  const first_ack_ms = numberOf(acked, 'first_ack_unix_ms') - executedUnixMs
  return { broker, figures: { first_ack_ms, broker_rss_mb: residentMb(broker.pid) } }
}
