// The settings of disaster recovery, part of the one table in settings.ts.

import { setting } from './setting.ts'
import { boolean, choice, count, duration, optional, orUnlimited } from './setting-types.ts'

const SECOND = 1000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE

const group = 'recovery'

export const RECOVERY_SETTINGS = {
  durability: setting({
    group,
    type: choice('WHERE', ['local', 'bucket']),
    default: 'local',
    about:
      'When something is acknowledged: `local` when it is on the disk of this machine; `bucket` when it is in the object store, ' +
      'too: nothing is lost with the machine, and every answer takes a round trip to the store. Consumers see a record when its ' +
      'producer was answered.',
  }),
  takeoverAfterMs: setting({
    group,
    type: orUnlimited(duration(2 * SECOND, HOUR)),
    default: 10 * SECOND,
    about:
      'When the owner of a bucket has been silent for so long, a broker with an empty data directory takes it over. An owner that ' +
      'cannot write to the bucket for so long stops acknowledging until it can again. -1: only with take-over, and it goes on.',
  }),
  takeOver: setting({
    group,
    type: boolean,
    default: false,
    about:
      'Take over the object store even if its owner may still live: the owner is fenced first, and the start waits until it has ' +
      'surely stopped answering.',
  }),
  snapshotEnabled: setting({
    group,
    type: boolean,
    default: true,
    about:
      'Write checkpoints and the metadata log to the object store. Without them nothing can be restored from it. A store inside ' +
      'the data directory never gets them: it would be lost with it.',
  }),
  snapshotLogThreshold: setting({
    group,
    type: count(1, 2 ** 31 - 1),
    default: 10_000,
    about: 'A checkpoint goes to the object store after so many records of the commit log, one in 10 s at most.',
  }),
  snapshotTimeThresholdSecs: setting({
    group,
    type: count(1, 86_400),
    default: 3600,
    about: 'The same after so many seconds in which anything changed.',
  }),
  snapshotCompression: setting({
    group,
    type: choice('CODEC', ['gzip', 'zstd']),
    default: 'zstd',
    about: 'How checkpoints and the metadata log are compressed in the object store.',
  }),
  restoreWindowHours: setting({
    group,
    type: optional(count(0, 8760)),
    default: null,
    about:
      'For so long `chronik restore --at` can go back to any moment: the metadata log, a checkpoint an hour and deleted objects ' +
      'are kept. Unset: 24; 0 for a store inside the data directory.',
  }),
  tailUploadMs: setting({
    group,
    type: optional(duration(0, MINUTE)),
    default: null,
    about:
      'How often records that will not be sealed soon are copied to the object store: what may be lost with the disk. 0: never, ' +
      'so that records are lost that were in no segment. Unset: 1 s for a bucket, 0 for a directory.',
  }),
}
