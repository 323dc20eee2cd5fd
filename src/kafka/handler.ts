import type { RequestContext } from './broker.ts'
import type { Decoded, Encodable, Message } from './protocol/protocol.ts'

// A handler declares the API it answers and the versions it serves; ApiVersions is read from these declarations.

export interface Handler {
  readonly request: Message
  readonly response: Message
  readonly versions: { readonly min: number; readonly max: number }
  readonly handle: (request: never, context: RequestContext) => unknown
}

export function defineHandler<Req extends Message, Res extends Message>(
  api: { request: Req; response: Res; versions: readonly [min: number, max: number] },
  handle: (request: Decoded<Req>, context: RequestContext) => Encodable<Res> | Promise<Encodable<Res>>,
): Handler {
  const [min, max] = api.versions
  return { request: api.request, response: api.response, versions: { min, max }, handle }
}
