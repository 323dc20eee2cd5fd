import { defineHandler } from '#kafka/handler.ts'
import { DescribeAclsRequest, DescribeAclsResponse } from '#kafka/protocol/apis/29-describe-acls.ts'
import { errorCode } from '#kafka/protocol/protocol.ts'

// DescribeAcls v1-3. Tools learn from this code that there are no ACLs to show.
export const describeAcls = defineHandler(
  { request: DescribeAclsRequest, response: DescribeAclsResponse, versions: [1, 3] },
  () => ({
    errorCode: errorCode('SECURITY_DISABLED'),
    errorMessage: 'No Authorizer is configured on the broker',
    resources: [],
  }),
)
