import type { Clock } from '#base/ports.ts'
import type { RecoveryFigures, RecoveryStep } from '#observe/recovery-metrics.ts'

// How far a start is that may have to restore from the object store: counted by who does it, read by who asks. What is to be read
// is known list by list, so that the sums grow on the way.

const MIB = 1 << 20
const TOLD_EVERY_MS = 5_000

const STEP_TEXTS: Readonly<Record<RecoveryStep, string>> = {
  store: 'trying the object store',
  ownership: 'finding out whose the object store is',
  checkpoint: 'restoring: reading the checkpoint',
  metalog: 'restoring: reading the metadata log',
  tail: 'restoring: looking for records that were in no segment',
  objects: 'restoring: writing what was cut out of larger objects',
  log: 'reading the write-ahead log',
  done: 'done',
}

export class RecoveryProgress implements RecoveryFigures {
  step: RecoveryStep = 'store'
  objects = 0
  objectsDone = 0
  bytes = 0
  bytesDone = 0
  records = 0

  /** So much more is to be read. */
  expect(objects: number, sizeBytes: number): void {
    this.objects += objects
    this.bytes += sizeBytes
  }

  did(sizeBytes: number): void {
    this.objectsDone++
    this.bytesDone += sizeBytes
  }

  /** For people. */
  get text(): string {
    const text = STEP_TEXTS[this.step]
    if (this.objects === 0) return text
    const mib = (sizeBytes: number) => (sizeBytes / MIB).toFixed(1)
    return `${text} (${this.objectsDone} of ${this.objects} objects, ${mib(this.bytesDone)} of ${mib(this.bytes)} MiB)`
  }
}

/** Says every few seconds how far it is, while it takes long. */
export async function tellingOf<T>(
  { progress, clock }: { progress: RecoveryProgress; clock: Clock },
  tell: (text: string) => void,
  work: Promise<T>,
): Promise<T> {
  const again = () =>
    clock.after(TOLD_EVERY_MS, () => {
      tell(progress.text)
      timer = again()
    })
  let timer = again()
  try {
    return await work
  } finally {
    timer.cancel()
  }
}
