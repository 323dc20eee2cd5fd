import { describe, expect, it } from 'vitest'
import { errorCode, errorName, type KafkaErrorName, kafkaErrors } from '#kafka/protocol/error-codes.ts'
import { readGoldenErrors } from './golden-values.ts'

describe('the error codes', () => {
  it('are those of Apache Kafka, each as retriable as there', () => {
    const ours = Object.entries(kafkaErrors).map(([name, { code, retriable }]) => ({ code, name, retriable }))
    expect(ours).toEqual(readGoldenErrors())
    expect(ours.at(-1)?.code).toBe(136)
  })

  it('are found by name, and their names by code', () => {
    expect(errorCode('UNKNOWN_TOPIC_OR_PARTITION')).toBe(3)
    for (const name of Object.keys(kafkaErrors) as KafkaErrorName[]) expect(errorName(errorCode(name))).toBe(name)
    expect(errorName(999)).toBe('UNKNOWN_SERVER_ERROR')
  })

  it('have a message to show', () => {
    for (const { message } of Object.values(kafkaErrors)) expect(message).toMatch(/^[A-Za-z].*\.$/)
  })
})
