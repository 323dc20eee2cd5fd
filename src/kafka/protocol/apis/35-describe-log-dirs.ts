import {
  type ApiId,
  array,
  bool,
  type Decoded,
  type Encodable,
  int16,
  int32,
  int64,
  request,
  response,
  string,
} from '#kafka/protocol/schema.ts'

const api: ApiId = { key: 35, name: 'DescribeLogDirs', versions: '1-5', flexibleFrom: 2 }

// v2: flexible.
export const DescribeLogDirsRequest = request(api, {
  topics: array({ topic: string(), partitions: array(int32()) }).nullable(),
})
export type DescribeLogDirsRequest = Decoded<typeof DescribeLogDirsRequest>

// v3: an error for the whole. v4: total and usable bytes. v5: cordoned directories.
export const DescribeLogDirsResponse = response(api, {
  throttleTimeMs: int32().default(0),
  errorCode: int16('3+').ignorable(),
  results: array({
    errorCode: int16(),
    logDir: string(),
    topics: array({
      name: string(),
      partitions: array({
        partitionIndex: int32(),
        partitionSize: int64(),
        offsetLag: int64(),
        isFutureKey: bool(),
      }),
    }),
    totalBytes: int64('4+').default(-1).ignorable(),
    usableBytes: int64('4+').default(-1).ignorable(),
    isCordoned: bool('5+').default(false).ignorable(),
  }),
})
export type DescribeLogDirsResponse = Encodable<typeof DescribeLogDirsResponse>
