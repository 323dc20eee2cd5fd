import {
  type ApiId,
  array,
  bool,
  type Decoded,
  type Encodable,
  int8,
  int16,
  int32,
  request,
  response,
  string,
} from '#kafka/protocol/schema.ts'

const api: ApiId = { key: 32, name: 'DescribeConfigs', versions: '1-4', flexibleFrom: 4 }

// v1: synonyms. v3: documentation. v4: flexible.
export const DescribeConfigsRequest = request(api, {
  resources: array({
    resourceType: int8(),
    resourceName: string(),
    configurationKeys: array(string()).nullable(),
  }),
  includeSynonyms: bool().default(false),
  includeDocumentation: bool('3+').default(false),
})
export type DescribeConfigsRequest = Decoded<typeof DescribeConfigsRequest>

// v1: config source and synonyms. v3: config type and documentation.
export const DescribeConfigsResponse = response(api, {
  throttleTimeMs: int32().default(0),
  results: array({
    errorCode: int16(),
    errorMessage: string().nullable(),
    resourceType: int8(),
    resourceName: string(),
    configs: array({
      name: string(),
      value: string().nullable(),
      readOnly: bool(),
      // 1 topic, 2 dynamic broker, 3 dynamic default broker, 4 static broker, 5 default.
      configSource: int8().default(-1),
      isSensitive: bool(),
      synonyms: array({ name: string(), value: string().nullable(), source: int8() }),
      // 1 boolean, 2 string, 3 int, 4 short, 5 long, 6 double, 7 list, 8 class, 9 password.
      configType: int8('3+').default(0).ignorable(),
      documentation: string('3+').nullable().ignorable(),
    }),
  }),
})
export type DescribeConfigsResponse = Encodable<typeof DescribeConfigsResponse>
