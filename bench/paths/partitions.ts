import { figuresOf, numberOf } from './load.ts'
import { undisturbed } from './loads.ts'
import { atLeast, type Row } from './row.ts'

const MANY = { topics: 500, partitions: 3, prime: 8 }

/**
 * The same records to 500 topics of three partitions, round robin, and to one topic of one. Each partition has been written to before
 * the clock starts: Kafka's first writes into an index, whose pages are mapped, take milliseconds.
 */
export const manyPartitions: Row = {
  name: 'partitions-1500',
  title: 'stream 1 KB to 1,500 partitions, round robin',
  targets: ['ours', 'kafka'],
  once: false,
  warm: false,
  lines: [
    { figure: 'of_one_topic', goal: atLeast(0.6) },
    { figure: 'mb_s' },
    { figure: 'broker_cpu' },
    { figure: 'broker_peak_rss_mb' },
  ],
  measure: async (lab, target) => {
    const broker = await lab.shared(target)
    const flags = { size: 1024, records: lab.quick ? 100_000 : 500_000, verify: true }
    const one = await undisturbed(lab, () => lab.loadOn(broker, 'stream', flags))
    const many = await undisturbed(lab, () => lab.loadOn(broker, 'stream', { ...flags, ...MANY }))
    return { ...figuresOf(many), of_one_topic: numberOf(many, 'records_s') / numberOf(one, 'records_s') }
  },
}
