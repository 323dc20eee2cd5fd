import { unreachable } from '#base/assert.ts'
import { describeBrokerConfigs } from '#config/broker-config.ts'
import { describeGroupConfigs } from '#config/group-config.ts'
import { CONFIG_TYPES, type DescribedConfig } from '#config/kafka-config.ts'
import { describeTopicConfigs } from '#config/topic-config.ts'
import type { Broker } from '#kafka/broker.ts'
import {
  type ConfigResource,
  findResource,
  NO_CONFIGS,
  repeatedResource,
  repeatedResources,
} from '#kafka/config-resources.ts'
import { defineHandler } from '#kafka/handler.ts'
import { DescribeConfigsRequest, DescribeConfigsResponse } from '#kafka/protocol/apis/32-describe-configs.ts'
import { errorCode } from '#kafka/protocol/protocol.ts'

// DescribeConfigs v1-4: every config of topics, brokers and groups, with where its value comes from. v3: types and documentation.

type ConfigAnswer = DescribeConfigsResponse['results'][number]['configs'][number]

export const describeConfigs = defineHandler(
  { request: DescribeConfigsRequest, response: DescribeConfigsResponse, versions: [1, 4] },
  (request, { broker }) => {
    // An answer is hundreds of times as large as what asks for it.
    const repeated = repeatedResources(request.resources)
    const results = request.resources.map(wanted => {
      const { resourceType, resourceName } = wanted
      const found = repeated.has(wanted) ? repeatedResource() : findResource(broker, resourceType, resourceName)
      const named = { resourceType, resourceName }
      if (!found.ok) {
        return { ...named, errorCode: errorCode(found.code), errorMessage: found.message, configs: [] }
      }
      const configs = describe(broker, found.resource, wanted.configurationKeys)
      return {
        ...named,
        errorCode: errorCode('NONE'),
        errorMessage: '',
        configs: configs.map(config => configAnswer(config, request)),
      }
    })
    return { results }
  },
)

/** Without keys all. */
function describe(broker: Broker, resource: ConfigResource, wantedNames: readonly string[] | null): DescribedConfig[] {
  const configs = describeAll(broker, resource)
  if (wantedNames === null || wantedNames.length === 0) return configs
  const wanted = new Set(wantedNames)
  return configs.filter(({ name }) => wanted.has(name))
}

function describeAll({ topicRules, log }: Broker, resource: ConfigResource): DescribedConfig[] {
  const layers = topicRules.layers()
  switch (resource.kind) {
    case 'topic':
      return describeTopicConfigs(resource.topic.configs, layers)
    case 'broker':
      return describeBrokerConfigs(layers, resource.scope)
    case 'group':
      return describeGroupConfigs(log.state.groupConfigs.get(resource.groupId) ?? NO_CONFIGS, layers)
    default:
      return unreachable(resource)
  }
}

function configAnswer(
  { name, value, isReadOnly, source, isSensitive, synonyms, type, documentation }: DescribedConfig,
  { includeSynonyms, includeDocumentation }: DescribeConfigsRequest,
): ConfigAnswer {
  const shown = (text: string | null) => (isSensitive ? null : text)
  return {
    name,
    value: shown(value),
    readOnly: isReadOnly,
    configSource: source,
    isSensitive,
    synonyms: includeSynonyms ? synonyms.map(synonym => ({ ...synonym, value: shown(synonym.value) })) : [],
    configType: CONFIG_TYPES[type],
    documentation: includeDocumentation ? documentation : null,
  }
}
