import { unreachable } from '#base/assert.ts'
import { incrementalAlterBrokerConfigs } from '#config/broker-config.ts'
import { incrementalAlterGroupConfigs } from '#config/group-config.ts'
import { incrementalAlterTopicConfigs } from '#config/topic-config.ts'
import { alterResources } from '#kafka/config-alteration.ts'
import { NO_CONFIGS } from '#kafka/config-resources.ts'
import { defineHandler } from '#kafka/handler.ts'
import {
  IncrementalAlterConfigsRequest,
  IncrementalAlterConfigsResponse,
} from '#kafka/protocol/apis/44-incremental-alter-configs.ts'

// IncrementalAlterConfigs v0-1: sets, deletes, appends to and subtracts from single configs (KIP-339).
export const incrementalAlterConfigs = defineHandler(
  { request: IncrementalAlterConfigsRequest, response: IncrementalAlterConfigsResponse, versions: [0, 1] },
  async ({ resources, validateOnly }, { broker }) => ({
    responses: await alterResources(broker, resources, validateOnly, (resource, { configs }) => {
      const ops = configs.map(({ name, value, configOperation: op }) => ({ name, value, op }))
      const { state } = broker.log
      switch (resource.kind) {
        case 'topic':
          return incrementalAlterTopicConfigs(resource.topic.configs, ops, broker.topicRules.layers())
        case 'broker':
          return incrementalAlterBrokerConfigs(state.brokerConfigs, resource.scope, ops)
        case 'group': {
          const current = state.groupConfigs.get(resource.groupId) ?? NO_CONFIGS
          return incrementalAlterGroupConfigs(current, ops, broker.topicRules.layers())
        }
        default:
          return unreachable(resource)
      }
    }),
  }),
)
