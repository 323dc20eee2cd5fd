import { unreachable } from '#base/assert.ts'
import type { AlteredConfigs } from '#config/alter-configs.ts'
import type { Change } from '#core/change-records.ts'
import type { Broker } from './broker.ts'
import {
  type ConfigResource,
  findResource,
  RESOURCE_TYPES,
  repeatedResource,
  repeatedResources,
  unknownTopic,
} from './config-resources.ts'
import { inTurn } from './in-turn.ts'
import { errorCode } from './protocol/protocol.ts'
import { propose, type Refusal, refusal } from './refusal.ts'

// What AlterConfigs and IncrementalAlterConfigs have in common: each resource is altered by itself, as a whole or not at all.

interface WantedResource {
  readonly resourceType: number
  readonly resourceName: string
}

export interface AlteredResource extends WantedResource {
  readonly errorCode: number
  readonly errorMessage: string | null
}

/** Alters one resource after the other; `alter` says what its configs are to be. */
export function alterResources<W extends WantedResource>(
  broker: Broker,
  wanted: readonly W[],
  validateOnly: boolean,
  alter: (resource: ConfigResource, wanted: W) => AlteredConfigs,
): Promise<AlteredResource[]> {
  return inTurn(broker, async () => {
    const answers: AlteredResource[] = []
    const repeated = repeatedResources(wanted)
    for (const one of wanted) {
      const { resourceType, resourceName } = one
      const problem = repeated.has(one) ? repeatedResource() : await alterResource(broker, one, validateOnly, alter)
      const errorMessage = problem?.message ?? null
      answers.push({ errorCode: errorCode(problem?.code ?? 'NONE'), errorMessage, resourceType, resourceName })
    }
    return answers
  })
}

async function alterResource<W extends WantedResource>(
  broker: Broker,
  wanted: W,
  validateOnly: boolean,
  alter: (resource: ConfigResource, wanted: W) => AlteredConfigs,
): Promise<Refusal | null> {
  const { resourceType, resourceName } = wanted
  if (resourceType === RESOURCE_TYPES.topic && resourceName === '') {
    return refusal('INVALID_REQUEST', 'Default topic resources are not allowed.')
  }
  if (resourceType === RESOURCE_TYPES.group && resourceName === '') {
    return refusal('INVALID_REQUEST', 'Default group resources are not allowed.')
  }
  const found = findResource(broker, resourceType, resourceName)
  if (!found.ok) return found
  const altered = alter(found.resource, wanted)
  if (!altered.ok) return altered
  if (found.resource.kind === 'group' && altered.configs.size > 0) {
    const error = broker.groups.mayConfigure(found.resource.groupId)
    if (error !== 'NONE') return refusal(error, 'There are as many groups as there may be.')
  }
  if (validateOnly) return null
  const problem = await propose(broker, changeOf(found.resource, altered.configs))
  // It was deleted since it was found.
  return problem?.code === 'UNKNOWN_TOPIC_ID' ? unknownTopic(resourceName) : problem
}

function changeOf(resource: ConfigResource, configs: ReadonlyMap<string, string>): Change {
  switch (resource.kind) {
    case 'topic':
      return { kind: 'topic-configs-set', id: resource.topic.id, configs }
    case 'broker':
      return { kind: 'broker-configs-set', configs }
    case 'group':
      return { kind: 'group-configs-set', groupId: resource.groupId, configs }
    default:
      return unreachable(resource)
  }
}
