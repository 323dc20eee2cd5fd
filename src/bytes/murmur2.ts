// The hash by which Kafka's producers choose the partition of a key (Kafka: Utils.murmur2): whoever writes for them must agree.

const SEED = 0x9747b28c
const MIX = 0x5bd1e995

/** Signed, as Java's. */
export function murmur2(key: Uint8Array): number {
  const length = key.length
  let hash = SEED ^ length
  let at = 0
  for (; at + 4 <= length; at += 4) {
    let word = key[at]! | (key[at + 1]! << 8) | (key[at + 2]! << 16) | (key[at + 3]! << 24)
    word = Math.imul(word, MIX)
    word ^= word >>> 24
    hash = Math.imul(hash, MIX) ^ Math.imul(word, MIX)
  }
  const left = length - at
  if (left === 3) hash ^= key[at + 2]! << 16
  if (left >= 2) hash ^= key[at + 1]! << 8
  if (left >= 1) hash = Math.imul(hash ^ key[at]!, MIX)
  hash = Math.imul(hash ^ (hash >>> 13), MIX)
  return hash ^ (hash >>> 15)
}

/** Kafka: BuiltInPartitioner.partitionForKey; `toPositive` drops the sign bit. */
export function partitionOfKey(key: Uint8Array, partitionCount: number): number {
  return (murmur2(key) & 0x7fffffff) % partitionCount
}
