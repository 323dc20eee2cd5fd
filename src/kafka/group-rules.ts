import { effectiveGroupConfig } from '#config/group-config.ts'
import type { ConfigLayers } from '#config/kafka-config.ts'
import type { Settings } from '#config/settings.ts'
import type { Configs, State } from '#core/state.ts'
import type { ConsumerLimits } from './coordinator/consumer-step.ts'

/** What the settings and the configs of a group amount to: computed again only when the group's configs have changed. */
export class GroupRules {
  readonly #state: State
  readonly #settings: Settings
  readonly #fixed: ConfigLayers
  readonly #common: ConsumerLimits
  readonly #known = new WeakMap<Configs, ConsumerLimits>()

  constructor(state: State, settings: Settings, fixed: ConfigLayers) {
    this.#state = state
    this.#settings = settings
    this.#fixed = fixed
    this.#common = this.#compute(new Map())
  }

  of(groupId: string): ConsumerLimits {
    const configs = this.#state.groupConfigs.get(groupId)
    if (configs === undefined) return this.#common
    const known = this.#known.get(configs)
    if (known !== undefined) return known
    const limits = this.#compute(configs)
    this.#known.set(configs, limits)
    return limits
  }

  #compute(configs: Configs): ConsumerLimits {
    return {
      ...effectiveGroupConfig(configs, this.#fixed),
      maxMembers: this.#settings.groupConsumerMaxSize,
      maxBytes: this.#settings.groupMaxBytes,
      migrationPolicy: this.#settings.groupConsumerMigrationPolicy,
      maxClassicMembers: this.#settings.groupMaxSize,
    }
  }
}
