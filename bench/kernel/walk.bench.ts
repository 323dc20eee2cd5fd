import { writeVarint, writeVarlong } from '#bytes/varint.kernel.ts'
import { Walk, walkRecords } from '#records/walk.kernel.ts'
import { measure } from './kernel-bench.ts'

const RECORDS = 1000
const walk = new Walk()

function bodyOf(keyBytes: number, valueBytes: number, stepMs: number): Buffer {
  const body = Buffer.alloc(RECORDS * (keyBytes + valueBytes + 40))
  const record = Buffer.alloc(keyBytes + valueBytes + 40)
  let at = 0
  for (let i = 0; i < RECORDS; i++) {
    let end = writeVarlong(record, 1, Math.floor(i * stepMs))
    end = writeVarint(record, end, i)
    end = writeVarint(record, end, keyBytes > 0 ? keyBytes : -1) + keyBytes
    end = writeVarint(record, end, valueBytes) + valueBytes
    end = writeVarint(record, end, 0)
    at = writeVarint(body, at, end)
    at += record.copy(body, at, 0, end)
  }
  return body.subarray(0, at)
}

for (const [keyBytes, valueBytes, stepMs] of [
  [0, 100, 0.001],
  [16, 84, 0.001],
  [16, 84, 3],
  [16, 1000, 1],
] as const) {
  const body = bodyOf(keyBytes, valueBytes, stepMs)
  measure(
    `walk, key ${keyBytes} B, value ${valueBytes} B, ${stepMs} ms apart`,
    { items: RECORDS, bytes: body.length },
    () => {
      walkRecords(body, 0, body.length, RECORDS, 1_700_000_000_000, walk)
      if (walk.fault !== 0) throw new Error(`fault ${walk.fault} at ${walk.faultIndex}`)
    },
  )
}
