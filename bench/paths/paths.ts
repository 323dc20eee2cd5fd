import { idle } from './idle.ts'
import { loadRow } from './loads.ts'
import { manyPartitions } from './partitions.ts'
import { startAfterKill, startManyPartitions } from './recovery.ts'
import { atLeastTimesKafka, atMost, atMostTimesKafka, type Row } from './row.ts'
import { startEmpty } from './startup.ts'

/** Everything that is measured, in this order: the rows that write most come last. */
export const ROWS: readonly Row[] = [
  startEmpty,
  idle,
  loadRow({
    name: 'closed',
    title: 'closed, 128 in flight, one client, 256 B',
    mode: 'closed',
    seconds: 6,
    lines: [
      { figure: 'records_s', goal: atLeastTimesKafka(0.7) },
      { figure: 'p99_ms', goal: atMostTimesKafka(2) },
    ],
  }),
  loadRow({
    name: 'closed-librdkafka',
    title: 'the same with librdkafka, linger 0',
    mode: 'closed-librdkafka',
    seconds: 6,
    lines: [
      { figure: 'records_s', goal: atLeastTimesKafka(0.6) },
      { figure: 'p99_ms', goal: atMost(5.4) },
    ],
  }),
  loadRow({
    name: 'closed-conns',
    title: 'closed, 128 connections, one record each, 256 B',
    mode: 'closed-conns',
    seconds: 6,
    lines: [
      { figure: 'records_s', goal: atLeastTimesKafka(1.3) },
      { figure: 'p50_ms' },
      { figure: 'p99_ms', goal: atMostTimesKafka(1) },
    ],
  }),
  loadRow({
    name: 'e2e',
    title: 'end to end at 1,000 records/s',
    mode: 'e2e',
    seconds: 8,
    lines: [
      { figure: 'p50_ms', goal: atMostTimesKafka(1.3) },
      { figure: 'p99_ms', goal: atMostTimesKafka(2) },
    ],
  }),
  loadRow({
    name: 'stream-100',
    title: 'stream 100 B',
    mode: 'stream',
    flags: { size: 100 },
    records: 5_000_000,
    lines: [{ figure: 'records_s', goal: atLeastTimesKafka(0.85) }],
  }),
  loadRow({
    name: 'stream-1k',
    title: 'stream 1 KB',
    mode: 'stream',
    flags: { size: 1024 },
    records: 1_000_000,
    lines: [{ figure: 'mb_s', goal: atLeastTimesKafka(0.65) }],
  }),
  loadRow({
    name: 'stream-100-zstd',
    title: 'stream 100 B, zstd',
    mode: 'stream',
    flags: { size: 100, compression: 'zstd' },
    records: 5_000_000,
    lines: [{ figure: 'records_s', goal: atLeastTimesKafka(0.9) }],
  }),
  loadRow({
    name: 'stream-1k-zstd',
    title: 'stream 1 KB, zstd',
    mode: 'stream',
    flags: { size: 1024, compression: 'zstd' },
    records: 1_000_000,
    lines: [{ figure: 'mb_s', goal: atLeastTimesKafka(0.9) }],
  }),
  loadRow({
    name: 'consume-100',
    title: 'consume 100 B',
    mode: 'consume',
    flags: { size: 100 },
    records: 5_000_000,
    lines: [{ figure: 'records_s', goal: atLeastTimesKafka(1) }],
  }),
  loadRow({
    name: 'consume-raw-1k',
    title: 'consume 1 KB without decoding',
    mode: 'consume',
    flags: { size: 1024, raw: true },
    records: 1_000_000,
    lines: [{ figure: 'mb_s', goal: atLeastTimesKafka(0.7) }],
  }),
  manyPartitions,
  startManyPartitions,
  startAfterKill,
]
