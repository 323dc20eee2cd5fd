import { unreachable } from '#base/assert.ts'
import { alterBrokerConfigs } from '#config/broker-config.ts'
import { alterGroupConfigs } from '#config/group-config.ts'
import { alterTopicConfigs } from '#config/topic-config.ts'
import { alterResources } from '#kafka/config-alteration.ts'
import { defineHandler } from '#kafka/handler.ts'
import { AlterConfigsRequest, AlterConfigsResponse } from '#kafka/protocol/apis/33-alter-configs.ts'

// AlterConfigs v0-2: what is given takes the place of all that was set.
export const alterConfigs = defineHandler(
  { request: AlterConfigsRequest, response: AlterConfigsResponse, versions: [0, 2] },
  async ({ resources, validateOnly }, { broker }) => ({
    responses: await alterResources(broker, resources, validateOnly, (resource, { configs }) => {
      switch (resource.kind) {
        case 'topic':
          return alterTopicConfigs(configs, broker.topicRules.layers())
        case 'broker':
          return alterBrokerConfigs(broker.log.state.brokerConfigs, resource.scope, configs)
        case 'group':
          return alterGroupConfigs(configs, broker.topicRules.layers())
        default:
          return unreachable(resource)
      }
    }),
  }),
)
