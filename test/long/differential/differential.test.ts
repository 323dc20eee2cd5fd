// The same requests to Apache Kafka and to us, the answers compared field by field. A case that differs is a bug of ours, or says
// why it shall differ. DIFFERENTIAL_REFERENCE names a Kafka that runs already, CLIENTS_BOOTSTRAP another broker than ours.

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { missingForKafka, startKafkaPeer } from '#test/support/kafka-peer.ts'
import { openTarget, type Target } from '#test/support/target.ts'
import type { Case } from './case.ts'
import { clusterCases } from './cases/cluster.ts'
import { configCases } from './cases/configs.ts'
import { connectionCases } from './cases/connections.ts'
import { consumerGroupCases } from './cases/consumer-groups.ts'
import { fetchCases } from './cases/fetch.ts'
import { fetchSessionCases } from './cases/fetch-sessions.ts'
import { groupCases } from './cases/groups.ts'
import { groupJoinCases } from './cases/groups-join.ts'
import { groupOffsetCases } from './cases/groups-offsets.ts'
import { groupRebalanceCases } from './cases/groups-rebalance.ts'
import { idempotenceCases } from './cases/idempotence.ts'
import { listOffsetsCases } from './cases/list-offsets.ts'
import { metadataCases } from './cases/metadata.ts'
import { produceCases } from './cases/produce.ts'
import { topicCases } from './cases/topics.ts'
import { transactionCases } from './cases/transactions.ts'
import { transactionLogCases } from './cases/transactions-log.ts'
import { type Address, Conversation } from './conversation.ts'
import { normalise } from './normalise.ts'

const SUITES: Record<string, readonly Case[]> = {
  'connections and versions': connectionCases,
  producing: produceCases,
  'producing with a producer id': idempotenceCases,
  fetching: fetchCases,
  'fetch sessions': fetchSessionCases,
  'offsets by time': listOffsetsCases,
  'metadata and coordinators': metadataCases,
  'joining groups': groupJoinCases,
  'members of groups': groupRebalanceCases,
  'administering groups': groupCases,
  'committed offsets': groupOffsetCases,
  transactions: transactionCases,
  'records and offsets of transactions': transactionLogCases,
  'administering topics': topicCases,
  configs: configCases,
  'consumer groups': consumerGroupCases,
  'the cluster': clusterCases,
}

const START_TIMEOUT_MS = 180_000
const CASE_TIMEOUT_MS = 60_000
const givenReference = process.env.DIFFERENTIAL_REFERENCE
const missing = givenReference === undefined ? missingForKafka() : null
const title = `we answer as Apache Kafka does${missing === null ? '' : ` (skipped: ${missing} is not installed)`}`

const NOBODY = { topicSuffix: '-none', nodeId: -1, memberNames: new Map<string, string>() }

interface Peer extends Address {
  close(): Promise<void>
}

describe.skipIf(missing !== null)(title, () => {
  let reference: Peer
  let ours: Target
  let nodeIds: { reference: number; ours: number }

  beforeAll(async () => {
    reference = await openReference()
    // As the reference has it.
    ours = await openTarget(['--group-initial-rebalance-delay-ms', '0'])
    nodeIds = { reference: await nodeIdOf(reference), ours: await nodeIdOf(ours) }
  }, START_TIMEOUT_MS)

  afterAll(async () => {
    await ours?.close()
    await reference?.close()
  }, START_TIMEOUT_MS)

  for (const [suite, cases] of Object.entries(SUITES)) {
    describe(suite, () => {
      it.each(cases.map(of => ({ of, name: of.name + (of.difference === undefined ? '' : ' (otherwise here)') })))(
        '$name',
        async ({ of }) => {
          const [expected, answer] = await Promise.all([
            answerOf(reference, nodeIds.reference, of),
            answerOf(ours, nodeIds.ours, of),
          ])
          if (of.difference === undefined) {
            expect(answer).toEqual(expected)
          } else {
            expect(answer, of.difference.because).toEqual(of.difference.ours)
            expect(expected, 'there is no difference any more').not.toEqual(of.difference.ours)
          }
        },
        CASE_TIMEOUT_MS,
      )
    })
  }

  it('lists no API and no version that Kafka does not have', async () => {
    const theirs = await apiVersionsOf(reference)
    for (const { apiKey, minVersion, maxVersion } of await apiVersionsOf(ours)) {
      const their = theirs.find(api => api.apiKey === apiKey)
      expect(their, `the API ${apiKey}`).toBeDefined()
      expect(minVersion, `the API ${apiKey}`).toBeGreaterThanOrEqual(their!.minVersion)
      expect(maxVersion, `the API ${apiKey}`).toBeLessThanOrEqual(their!.maxVersion)
    }
  })
})

async function openReference(): Promise<Peer> {
  if (givenReference === undefined) return startKafkaPeer()
  const { hostname, port } = new URL(`kafka://${givenReference}`)
  return { host: hostname, port: Number(port), close: async () => {} }
}

let conversations = 0

async function answerOf(address: Address, nodeId: number, of: Case): Promise<unknown> {
  conversations++
  const topicSuffix = `-${process.pid.toString(36)}x${Date.now().toString(36)}x${conversations}`
  const identity = { topicSuffix, nodeId, memberNames: new Map() }
  const broker = await Conversation.open(address, identity)
  try {
    return normalise(await of.run(broker), identity)
  } finally {
    broker.close()
  }
}

async function nodeIdOf(address: Address): Promise<number> {
  const broker = await Conversation.open(address, NOBODY)
  const { brokers } = await broker.send('Metadata', 9, { topics: [], allowAutoTopicCreation: false })
  broker.close()
  return brokers[0]!.nodeId
}

async function apiVersionsOf(address: Address) {
  const broker = await Conversation.open(address, NOBODY)
  const { apiKeys } = await broker.send('ApiVersions', 0, {})
  broker.close()
  return apiKeys
}
