// Damage to frames, as chance has it. The size in front of a frame stays right, so that the next frame is found.

import { ByteReader, MalformedBytes } from '#bytes/cursor.ts'
import { FetchRequest } from '#kafka/protocol/apis/01-fetch.ts'
import { JoinGroupRequest } from '#kafka/protocol/apis/11-join-group.ts'
import { decodeRequest, decodeRequestHeader } from '#kafka/protocol/protocol.ts'
import { includes } from '#kafka/protocol/schema.ts'
import type { Prng } from '#test/support/sim/prng.ts'

const SIZE_BYTES = 4
/** Size, API key, version and correlation id. */
const HEAD_BYTES = 12
const EXTREMES = [
  'ffffffff',
  '7fffffff',
  '80000000',
  'ffff',
  '7fff',
  '8000',
  'ffffffff0f',
  '8080808080808080ff01',
  '00',
]

type Mutation = (body: Buffer, prng: Prng, other: Buffer) => Buffer

function flipBits(body: Buffer, prng: Prng): Buffer {
  const damaged = Buffer.from(body)
  for (let left = prng.between(1, 4); left > 0; left--) {
    const at = prng.between(0, damaged.length - 1)
    damaged[at]! ^= 1 << prng.between(0, 7)
  }
  return damaged
}

function truncate(body: Buffer, prng: Prng): Buffer {
  return body.subarray(0, prng.between(0, body.length - 1))
}

/** Where a length or a count may stand, a large, a small or a negative one. */
function blowUp(body: Buffer, prng: Prng): Buffer {
  const extreme = Buffer.from(prng.pick(EXTREMES), 'hex')
  const at = prng.between(0, body.length - 1)
  const overwrites = prng.chance(0.7) ? extreme.length : 0
  return Buffer.concat([body.subarray(0, at), extreme, body.subarray(at + overwrites)])
}

function splice(body: Buffer, prng: Prng, other: Buffer): Buffer {
  const from = prng.between(0, other.length - 1)
  const piece = other.subarray(from, prng.between(from, Math.min(other.length, from + 64)))
  const at = prng.between(0, body.length - 1)
  return Buffer.concat([body.subarray(0, at), piece, body.subarray(prng.between(at, body.length))])
}

function repeat(body: Buffer, prng: Prng): Buffer {
  const from = prng.between(0, body.length - 1)
  const piece = body.subarray(from, prng.between(from, Math.min(body.length, from + 32)))
  return Buffer.concat([body.subarray(0, from), ...Array<Buffer>(prng.between(2, 50)).fill(piece), body.subarray(from)])
}

function randomize(body: Buffer, prng: Prng): Buffer {
  const damaged = Buffer.from(body)
  const from = prng.between(0, damaged.length - 1)
  for (let at = from; at < Math.min(damaged.length, from + 16); at++) damaged[at] = prng.between(0, 255)
  return damaged
}

const mutations: readonly Mutation[] = [flipBits, flipBits, truncate, blowUp, blowUp, splice, repeat, randomize]

/** A damaged frame. One in ten may have its API or version damaged as well. */
export function mutate(frame: Buffer, prng: Prng, other: Buffer): Buffer {
  const keptBytes = prng.chance(0.9) ? HEAD_BYTES : SIZE_BYTES
  let body = frame.subarray(keptBytes)
  for (let left = prng.between(1, 3); left > 0 && body.length > 0; left--)
    body = prng.pick(mutations)(body, prng, other)
  const damaged = Buffer.concat([frame.subarray(0, keptBytes), body])
  damaged.writeInt32BE(damaged.length - SIZE_BYTES, 0)
  return damaged
}

/** A fetch or a join that by its mutation waits for longer: to wait for it would show nothing. */
export function waitsLong(frame: Buffer, moreThanMs: number): boolean {
  try {
    const reader = new ByteReader(frame, SIZE_BYTES)
    const { apiKey, apiVersion } = decodeRequestHeader(reader)
    if (apiKey === FetchRequest.api.key && includes(FetchRequest.versions, apiVersion)) {
      return decodeRequest(FetchRequest, apiVersion, reader).maxWaitMs > moreThanMs
    }
    if (apiKey === JoinGroupRequest.api.key && includes(JoinGroupRequest.versions, apiVersion)) {
      const { sessionTimeoutMs, rebalanceTimeoutMs } = decodeRequest(JoinGroupRequest, apiVersion, reader)
      // The oldest version has one time for both.
      return Math.max(rebalanceTimeoutMs, apiVersion === 0 ? sessionTimeoutMs : 0) > moreThanMs
    }
    return false
  } catch (thrown) {
    if (thrown instanceof MalformedBytes) return false
    throw thrown
  }
}
