import { numberOf } from './load.ts'
import { undisturbed } from './loads.ts'
import { atMost, type Row } from './row.ts'

const GROUPS = 1000
const MEMBERS_PER_GROUP = 3

/**
 * CPU and memory of a broker that does nothing but keep the members of many groups alive. V8 gives back what their joining took
 * after 100 s without a full collection: what is measured before that is the joining.
 */
export const heartbeats: Row = {
  name: 'heartbeats',
  title: '1,000 groups of 3 members, two minutes after they joined',
  targets: ['ours', 'kafka'],
  once: true,
  warm: false,
  lines: [
    { figure: 'p99_ms' },
    { figure: 'cpu_percent', goal: atMost(25) },
    { figure: 'broker_rss_mb', goal: atMost(150) },
  ],
  measure: async (lab, target) => {
    const broker = await lab.start(target, lab.freshDir(target))
    const [warmup, seconds] = lab.quick ? ['3s', '6s'] : ['120s', '21s']
    const flags = { conns: GROUPS * MEMBERS_PER_GROUP, warmup, seconds }
    const kept = await undisturbed(lab, () => lab.loadOn(broker, 'heartbeats', flags))
    await lab.stop(broker)
    return {
      p99_ms: numberOf(kept, 'p99_ms'),
      cpu_percent: 100 * numberOf(kept, 'broker_cpu'),
      broker_rss_mb: numberOf(kept, 'broker_rss_mb'),
    }
  },
}
