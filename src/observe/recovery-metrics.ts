import { Counter, type Exposable, Gauge } from './metrics.ts'

// Metrics of what a lost machine is made anew from.

/** What is read when somebody scrapes. */
export interface RecoveryReadings {
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

export function recoveryGauges(readings: RecoveryReadings): Exposable[] {
  return [
    new Gauge(
      'chronik_snapshot_size_bytes',
      'Size of the last checkpoint that was put into the object store, compressed; 0 if this process put none.',
      readings.snapshotSizeBytes,
    ),
    new Gauge(
      'chronik_upload_lag_seconds',
      'Age of the oldest change that a restore from the object store would not know; 0 if it would know all.',
      readings.uploadLagSeconds,
    ),
    new Gauge(
      'chronik_upload_lag_bytes',
      'Bytes of the log behind what a restore from the object store would know.',
      readings.uploadLagBytes,
    ),
  ]
}
