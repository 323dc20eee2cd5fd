import { FEATURES } from '#kafka/features.ts'
import { defineHandler } from '#kafka/handler.ts'
import { UpdateFeaturesRequest, UpdateFeaturesResponse } from '#kafka/protocol/apis/57-update-features.ts'
import { errorCode } from '#kafka/protocol/protocol.ts'
import { type Refusal, refusal } from '#kafka/refusal.ts'

// UpdateFeatures v0-2: the levels of features belong to the release; to set one to the level it has is all that succeeds.

type Update = UpdateFeaturesRequest['featureUpdates'][number]

const UPGRADE = 1
const UNSAFE_DOWNGRADE = 3

export const updateFeatures = defineHandler(
  { request: UpdateFeaturesRequest, response: UpdateFeaturesResponse, versions: [0, 2] },
  ({ featureUpdates }) => {
    for (const update of featureUpdates) {
      const problem = problemWith(update)
      if (problem === null) continue
      const message = `The update failed for all features since the following feature had an error: ${problem.message}`
      return { errorCode: errorCode(problem.code), errorMessage: message, results: [] }
    }
    const results = featureUpdates.map(({ feature }) => ({
      feature,
      errorCode: errorCode('NONE'),
      errorMessage: 'NONE',
    }))
    return { errorCode: errorCode('NONE'), errorMessage: null, results }
  },
)

function problemWith({ feature, maxVersionLevel, upgradeType }: Update): Refusal | null {
  const invalid = (reason: string) =>
    refusal('INVALID_UPDATE_VERSION', `Invalid update version ${maxVersionLevel} for feature ${feature}. ${reason}`)
  const known = FEATURES.find(({ name }) => name === feature)
  if (known === undefined) return invalid('This broker does not have this feature.')
  if (upgradeType < UPGRADE || upgradeType > UNSAFE_DOWNGRADE) return invalid('There is no such upgrade type.')
  return maxVersionLevel === known.level ? null : invalid(`This release has level ${known.level}, and no other.`)
}
