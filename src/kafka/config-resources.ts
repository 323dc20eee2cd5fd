import { type BrokerScope, brokerScopeOf } from '#config/broker-config.ts'
import type { Configs, Topic } from '#core/state.ts'
import type { Broker } from './broker.ts'
import { type Refusal, refusal } from './refusal.ts'
import { topicNameProblem } from './topic-names.ts'

/** What has configs, with Kafka's numbers (ConfigResource.Type). */
export const RESOURCE_TYPES = { topic: 2, broker: 4, brokerLogger: 8, clientMetrics: 16, group: 32 } as const

/** What has configs here. */
export type ConfigResource =
  | { readonly kind: 'topic'; readonly topic: Topic }
  | { readonly kind: 'broker'; readonly scope: BrokerScope }
  /** It need not exist. */
  | { readonly kind: 'group'; readonly groupId: string }

export const NO_CONFIGS: Configs = new Map()

/** What a request means. */
export function findResource(
  broker: Broker,
  type: number,
  name: string,
): { ok: true; resource: ConfigResource } | Refusal {
  switch (type) {
    case RESOURCE_TYPES.topic: {
      const problem = topicNameProblem(name)
      if (problem !== null) return refusal('INVALID_TOPIC_EXCEPTION', problem)
      const topic = broker.log.state.topics.get(name)
      if (topic === undefined) return unknownTopic(name)
      return { ok: true, resource: { kind: 'topic', topic } }
    }
    case RESOURCE_TYPES.broker: {
      const found = brokerScopeOf(name, broker.settings.nodeId)
      return found.ok ? { ok: true, resource: { kind: 'broker', scope: found.scope } } : found
    }
    case RESOURCE_TYPES.group:
      if (name === '') return refusal('INVALID_REQUEST', 'Group name must not be empty')
      return { ok: true, resource: { kind: 'group', groupId: name } }
    default:
      return refusal(
        'INVALID_REQUEST',
        `Topics (2), brokers (4) and groups (32) have configs here, resources of type ${type} have none`,
      )
  }
}

export function unknownTopic(name: string): Refusal {
  return refusal('UNKNOWN_TOPIC_OR_PARTITION', `The topic '${name}' does not exist.`)
}

interface NamedResource {
  readonly resourceType: number
  readonly resourceName: string
}

/** The resources that a request names more than once. */
export function repeatedResources<R extends NamedResource>(wanted: readonly R[]): Set<R> {
  const firsts = new Map<string, R>()
  const repeated = new Set<R>()
  for (const resource of wanted) {
    const key = `${resource.resourceType}/${resource.resourceName}`
    const first = firsts.get(key)
    if (first === undefined) firsts.set(key, resource)
    else repeated.add(first).add(resource)
  }
  return repeated
}

export function repeatedResource(): Refusal {
  return refusal('INVALID_REQUEST', 'Each resource must appear at most once.')
}
