import { Counter, type Exposable, Gauge, SeriesGauge } from './metrics.ts'

// Metrics of what a lost machine is made anew from.

/** What a start does one after the other; those from the checkpoint to the objects only if it restores. */
export const RECOVERY_STEPS = ['store', 'ownership', 'checkpoint', 'metalog', 'tail', 'objects', 'log', 'done'] as const
export type RecoveryStep = (typeof RECOVERY_STEPS)[number]

/** How far a start is. */
export interface RecoveryFigures {
  readonly step: RecoveryStep
  /** Of the store, that are to be read as far as is known, and that are. */
  readonly objects: number
  readonly objectsDone: number
  readonly bytes: number
  readonly bytesDone: number
  /** That come back; known when the metadata log is read. */
  readonly records: number
}

export const NO_RECOVERY: RecoveryFigures = {
  step: 'done',
  objects: 0,
  objectsDone: 0,
  bytes: 0,
  bytesDone: 0,
  records: 0,
}

/** What is read when somebody scrapes. */
export interface RecoveryReadings {
  recovery: () => RecoveryFigures
  snapshotSizeBytes: () => number
  uploadLagSeconds: () => number
  uploadLagBytes: () => number
}

/** What is counted where it happens. */
export function createRecoveryMetrics() {
  return {
    snapshotCreations: new Counter(
      'chronik_snapshot_creations_total',
      'Checkpoints of the state that were made for the object store.',
    ),
    snapshotUploads: new Counter('chronik_snapshot_uploads_total', 'Those of them that are in the object store.'),
    snapshotFailures: new Counter(
      'chronik_snapshot_failures_total',
      'Checkpoints that could not be put into the object store.',
    ),
    tailBytes: new Counter(
      'chronik_tail_bytes_total',
      'Bytes of objects with copies of records that were in no segment yet.',
    ),
  }
}

/** There from the very start, while nothing else is. */
export function recoveryProgressGauges(recovery: () => RecoveryFigures): Exposable[] {
  return [
    new SeriesGauge(
      'chronik_recovery_step',
      'What the start is doing: 1 for that step, 0 for all others; from checkpoint to objects it restores from the object store.',
      ['step'],
      () => RECOVERY_STEPS.map(step => ({ labelValues: [step], value: step === recovery().step ? 1 : 0 })),
    ),
    new Gauge(
      'chronik_recovery_objects',
      'Objects that the restore of this start has to read, as far as it is known; 0 if it restored nothing.',
      () => recovery().objects,
    ),
    new Gauge('chronik_recovery_objects_done', 'Those of them that are read.', () => recovery().objectsDone),
    new Gauge('chronik_recovery_bytes', 'Bytes of the objects that are to be read.', () => recovery().bytes),
    new Gauge('chronik_recovery_bytes_done', 'Bytes of those that are read.', () => recovery().bytesDone),
    new Gauge(
      'chronik_recovery_records',
      'Records that came back with the restore of this start, known when the metadata log is read.',
      () => recovery().records,
    ),
  ]
}

export function recoveryGauges(readings: RecoveryReadings): Exposable[] {
  return [
    ...recoveryProgressGauges(readings.recovery),
    new Gauge(
      'chronik_snapshot_size_bytes',
      'Size of the last checkpoint that was put into the object store, compressed; 0 if this process put none.',
      readings.snapshotSizeBytes,
    ),
    new Gauge(
      'chronik_upload_lag_seconds',
      'Age of the oldest change that a restore from the object store would not know, or of the oldest record that it would not ' +
        'have; 0 if it would have all. Without copies of records (tail-upload-ms is 0) it would not have those that are in no ' +
        'segment either: chronik_unsealed_bytes.',
      readings.uploadLagSeconds,
    ),
    new Gauge(
      'chronik_upload_lag_bytes',
      'Bytes of the log behind what a restore from the object store would know; the same goes for them.',
      readings.uploadLagBytes,
    ),
  ]
}
