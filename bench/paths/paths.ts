import { catchUp, catchUpFromBucket, pacedIntoBucket, restore } from './archive.ts'
import { heartbeats } from './heartbeats.ts'
import { idle } from './idle.ts'
import { loadRow } from './loads.ts'
import { manyPartitions } from './partitions.ts'
import { startAfterKill, startManyPartitions } from './recovery.ts'
import { atLeast, atLeastTimesKafka, atMost, atMostTimesKafka, type Row } from './row.ts'
import { sealing } from './sealing.ts'
import { startEmpty } from './startup.ts'

/** Everything that is measured, in this order: the rows that write most come last. */
export const ROWS: readonly Row[] = [
  startEmpty,
  idle,
  heartbeats,
  loadRow({
    name: 'rebalance',
    title: 'rebalance of 100 members',
    mode: 'rebalance',
    flags: { conns: 100, rounds: 50 },
    lines: [{ figure: 'p50_ms', goal: atMostTimesKafka(1.5) }, { figure: 'p99_ms' }],
  }),
  loadRow({
    name: 'commits',
    title: '5,000 offset commits a second, 50 connections',
    mode: 'commits',
    flags: { conns: 50, rate: 5000 },
    seconds: 8,
    lines: [{ figure: 'commits_s', goal: atLeast(4950) }, { figure: 'p50_ms' }, { figure: 'p99_ms', goal: atMost(25) }],
  }),
  loadRow({
    name: 'commit-latency',
    title: 'commit of a transaction of one record, when idle',
    mode: 'commit-latency',
    seconds: 8,
    lines: [{ figure: 'p50_ms', goal: atMost(10) }, { figure: 'p99_ms' }],
  }),
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
  loadRow({
    name: 'transactions',
    title: 'transactions of 1,000 records of 1 KB',
    mode: 'transactions',
    flags: { size: 1024, 'per-transaction': 1000, rounds: 5 },
    records: 100_000,
    lines: [{ figure: 'records_s' }, { figure: 'of_idempotent', goal: atLeast(0.8) }],
  }),
  loadRow({
    name: 'transactions-8',
    title: 'the same by 8 producers at once',
    mode: 'transactions',
    flags: { size: 1024, 'per-transaction': 1000, rounds: 9, conns: 8 },
    records: 200_000,
    lines: [{ figure: 'records_s' }, { figure: 'of_idempotent', goal: atLeast(0.8) }],
  }),
  loadRow({
    name: 'consume-committed',
    title: 'consume committed 1 KB, every tenth transaction aborted',
    mode: 'consume-committed',
    flags: { size: 1024, 'per-transaction': 1000, rounds: 7 },
    records: 500_000,
    lines: [{ figure: 'records_s' }, { figure: 'of_uncommitted', goal: atLeast(0.9) }],
  }),
  manyPartitions,
  sealing,
  catchUp,
  catchUpFromBucket,
  pacedIntoBucket,
  startManyPartitions,
  startAfterKill,
  restore,
]
