import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'

const path = (relative: string) => new URL(relative, import.meta.url).pathname
const classpath = process.env.CHRONIK_KAFKA_CLASSPATH ?? ''

it.skipIf(classpath === '')('the golden bytes are what Apache Kafka writes (CHRONIK_KAFKA_CLASSPATH: its jars)', () => {
  const fixture = readFileSync(path('../../../fixtures/wire/kafka.txt'), 'utf8')
  const ranges = /WireGolden\.java (.*) > /.exec(fixture)?.[1]?.split(' ') ?? []
  const written = execFileSync('java', ['-cp', classpath, path('./WireGolden.java'), ...ranges], { encoding: 'utf8' })
  const withoutKafkaVersion = (text: string) => text.slice(text.indexOf('\n'))
  expect(withoutKafkaVersion(written)).toBe(withoutKafkaVersion(fixture))
})
