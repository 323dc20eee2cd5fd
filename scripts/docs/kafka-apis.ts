import { handlers } from '#kafka/handlers/handlers.ts'
import { PRODUCE_KEY, PRODUCE_VERSIONS } from '#kafka/produce.ts'
import { apisOfKafka } from './apis-of-kafka.ts'

/** By API key, as ApiVersions lists them. */
const served = new Map([
  [PRODUCE_KEY, PRODUCE_VERSIONS],
  ...[...handlers].map(([key, { versions }]) => [key, versions] as const),
])

/** docs/KAFKA-APIS.md */
export function kafkaApisPage(): string {
  const here = apisOfKafka.flatMap(({ key, name, versions, area }) => {
    const ours = served.get(key)
    return ours === undefined ? [] : [`| ${name} | ${key} | ${shown(ours)} | ${versions} | ${area} |`]
  })
  const missing = apisOfKafka
    .filter(({ key }) => !served.has(key))
    .map(({ key, name, versions, area }) => `| ${name} | ${key} | ${versions} | ${area} |`)
  return `# Kafka APIs

<!-- Written from src/kafka/handlers by npm run docs: each handler declares what it serves. -->

What this broker answers, as its ApiVersions tells every client that connects, beside what Apache Kafka 4.4 has. A client picks
from it what both can do; a request that is not in it ends the connection, as in Kafka.

## Served

| API | key | versions here | in Kafka 4.4 | for |
|---|---|---|---|---|
${here.join('\n')}

Versions 0 to 2 of Produce are listed for old clients that look for them, and refused; Kafka does the same. What needs other
brokers, or an authorizer, is answered as Kafka answers it in a cluster of one broker without one.

## Not served

| API | key | in Kafka 4.4 | for |
|---|---|---|---|
${missing.join('\n')}
`
}

function shown({ min, max }: { min: number; max: number }): string {
  return min === max ? `${min}` : `${min}-${max}`
}
