import { defineHandler } from '#kafka/handler.ts'
import { CreateAclsRequest, CreateAclsResponse } from '#kafka/protocol/apis/30-create-acls.ts'
import { errorCode } from '#kafka/protocol/protocol.ts'

// CreateAcls v1-3.
export const createAcls = defineHandler(
  { request: CreateAclsRequest, response: CreateAclsResponse, versions: [1, 3] },
  ({ creations }) => ({
    results: creations.map(() => ({
      errorCode: errorCode('SECURITY_DISABLED'),
      errorMessage: 'No Authorizer is configured.',
    })),
  }),
)
