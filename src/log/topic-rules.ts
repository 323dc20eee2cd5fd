import { brokerLayers, fixedBrokerLayers } from '#config/broker-config.ts'
import type { ConfigLayers } from '#config/kafka-config.ts'
import type { SettingSources } from '#config/load-settings.ts'
import type { Settings } from '#config/settings.ts'
import { type EffectiveTopicConfig, effectiveTopicConfig } from '#config/topic-config.ts'
import type { State, Topic } from '#core/state.ts'
import type { BatchRules } from '#records/facts.ts'

export interface TopicRule extends BatchRules {
  readonly config: EffectiveTopicConfig
}

interface Known {
  readonly overrides: Topic['configs']
  readonly brokerConfigs: State['brokerConfigs']
  readonly rule: TopicRule
}

/** What the configs of a topic amount to: computed again only when they, or the broker's defaults, have changed. */
export class TopicRules {
  readonly #state: State
  readonly #fixed: ConfigLayers
  readonly #nodeId: number
  readonly #decompressLimitBytes: number
  readonly #known = new WeakMap<Topic, Known>()

  constructor(state: State, settings: Settings, sources: SettingSources) {
    this.#state = state
    this.#fixed = fixedBrokerLayers(settings, sources)
    this.#nodeId = settings.nodeId
    this.#decompressLimitBytes = settings.maxDecompressedBytes
  }

  of(topic: Topic): TopicRule {
    const known = this.#known.get(topic)
    const { brokerConfigs } = this.#state
    if (known?.overrides === topic.configs && known.brokerConfigs === brokerConfigs) return known.rule
    const rule = this.#compute(topic)
    this.#known.set(topic, { overrides: topic.configs, brokerConfigs, rule })
    return rule
  }

  /** The layers that a topic's own configs lie on. */
  layers(): ConfigLayers {
    return brokerLayers(this.#fixed, this.#state.brokerConfigs, this.#nodeId)
  }

  #compute(topic: Topic): TopicRule {
    const config = effectiveTopicConfig(topic.configs, this.layers())
    const { compressionType } = config
    const levels: Partial<Record<string, number>> = {
      gzip: config.gzipLevel,
      zstd: config.zstdLevel,
    }
    return {
      config,
      maxMessageBytes: config.maxMessageBytes,
      segmentBytes: config.segmentBytes,
      timestampType: config.timestampType,
      timestampBeforeMaxMs: config.timestampBeforeMaxMs,
      timestampAfterMaxMs: config.timestampAfterMaxMs,
      compacted: config.compacts,
      compression: compressionType,
      compressionLevel: levels[compressionType],
      decompressLimitBytes: this.#decompressLimitBytes,
    }
  }
}
