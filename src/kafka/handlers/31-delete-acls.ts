import { defineHandler } from '#kafka/handler.ts'
import { DeleteAclsRequest, DeleteAclsResponse } from '#kafka/protocol/apis/31-delete-acls.ts'
import { errorCode } from '#kafka/protocol/protocol.ts'

// DeleteAcls v1-3.
export const deleteAcls = defineHandler(
  { request: DeleteAclsRequest, response: DeleteAclsResponse, versions: [1, 3] },
  ({ filters }) => ({
    filterResults: filters.map(() => ({
      errorCode: errorCode('SECURITY_DISABLED'),
      errorMessage: 'No Authorizer is configured.',
      matchingAcls: [],
    })),
  }),
)
