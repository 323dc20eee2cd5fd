// What the store has besides segments: what a lost data directory is made anew from. Below the prefix of the store:
//
//   metalog/g<generation>/<from>-<to>.log       records of the commit log in [from, to), without their payload
//   checkpoints/g<generation>/<position>.ckpt   the state there
//   owner.json                                  who writes, as long as it lives
//   generations/<generation>.json               who may write since when: created once, never overwritten
//
// Positions have 20 digits, and generations where they are the name 10, so that names are in the order of what they name.

const POSITION_DIGITS = 20
const GENERATION_DIGITS = 10

export const OWNER_KEY = 'owner.json'
export const METALOG_PREFIX = 'metalog/'
export const CHECKPOINT_PREFIX = 'checkpoints/'
export const GENERATION_PREFIX = 'generations/'

export interface MetalogName {
  readonly generation: number
  readonly from: number
  readonly to: number
}

export interface CheckpointName {
  readonly generation: number
  readonly position: number
}

const positionText = (position: number): string => String(position).padStart(POSITION_DIGITS, '0')

export function metalogFolder(generation: number): string {
  return `${METALOG_PREFIX}g${generation}/`
}

export function metalogKey({ generation, from, to }: MetalogName): string {
  return `${metalogFolder(generation)}${positionText(from)}-${positionText(to)}.log`
}

/** Behind it, in the order of keys, are those of the generation that end behind the position, and perhaps one that does not. */
export function metalogKeyBefore(generation: number, position: number): string {
  return `${metalogFolder(generation)}${positionText(position)}`
}

export function parseMetalogKey(key: string): MetalogName | null {
  const match = /^metalog\/g(\d+)\/(\d{20})-(\d{20})\.log$/.exec(key)
  return match === null ? null : { generation: Number(match[1]), from: Number(match[2]), to: Number(match[3]) }
}

export function checkpointKey({ generation, position }: CheckpointName): string {
  return `${CHECKPOINT_PREFIX}g${generation}/${positionText(position)}.ckpt`
}

export function parseCheckpointKey(key: string): CheckpointName | null {
  const match = /^checkpoints\/g(\d+)\/(\d{20})\.ckpt$/.exec(key)
  return match === null ? null : { generation: Number(match[1]), position: Number(match[2]) }
}

export function generationKey(generation: number): string {
  return `${GENERATION_PREFIX}${String(generation).padStart(GENERATION_DIGITS, '0')}.json`
}

export function parseGenerationKey(key: string): number | null {
  const match = /^generations\/(\d{10})\.json$/.exec(key)
  return match === null ? null : Number(match[1])
}
