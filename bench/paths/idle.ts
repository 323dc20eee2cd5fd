import { residentMb } from './brokers.ts'
import { numberOf } from './load.ts'
import { undisturbed } from './loads.ts'
import { atMost, type Row } from './row.ts'

const CONSUMERS = 100

/** Memory of a broker nobody talks to, then its CPU with consumers that wait for records. */
export const idle: Row = {
  name: 'idle',
  title: 'idle, 100 long-polling consumers',
  targets: ['ours', 'kafka'],
  once: false,
  warm: false,
  lines: [
    { figure: 'cpu_percent', goal: atMost(1) },
    { figure: 'broker_rss_mb', goal: atMost(130) },
  ],
  measure: async (lab, target) => {
    const broker = await lab.start(target, lab.freshDir(target))
    const broker_rss_mb = residentMb(broker.pid)
    const [warmup, seconds] = lab.quick ? ['2s', '5s'] : ['10s', '20s']
    const flags = { conns: CONSUMERS, partitions: CONSUMERS, warmup, seconds }
    const polled = await undisturbed(lab, () => lab.loadOn(broker, 'idle', flags))
    await lab.stop(broker)
    return { cpu_percent: 100 * numberOf(polled, 'broker_cpu'), broker_rss_mb }
  },
}
