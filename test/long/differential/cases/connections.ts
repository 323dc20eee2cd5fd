// Frames, versions, and what closes a connection.

import { type Case, otherThanKafka, sameAsKafka } from '#test/long/differential/case.ts'
import type { Conversation } from '#test/long/differential/conversation.ts'
import { requestFrame } from '#test/support/wire-client.ts'
import { wireMessages } from '#test/support/wire-messages.ts'

const API_VERSIONS = 18
const METADATA = 3
const CORRELATION_ID = 77
const RELEASE = 'metadata.version'

/** A frame of a header v1 and the bytes behind it. */
function frame(apiKey: number, apiVersion: number, body = '', clientId: string | null = 'c'): Buffer {
  const header = Buffer.alloc(8)
  header.writeInt16BE(apiKey, 0)
  header.writeInt16BE(apiVersion, 2)
  header.writeInt32BE(CORRELATION_ID, 4)
  const client = Buffer.alloc(2 + (clientId?.length ?? 0))
  client.writeInt16BE(clientId?.length ?? -1, 0)
  client.write(clientId ?? '', 2)
  return sized(Buffer.concat([header, client, Buffer.from(body, 'hex')]))
}

function sized(payload: Buffer): Buffer {
  const size = Buffer.alloc(4)
  size.writeInt32BE(payload.length)
  return Buffer.concat([size, payload])
}

/** Whether the bytes are answered, with how the answer begins, or the connection is closed. */
async function answerTo(broker: Conversation, bytes: Buffer): Promise<string> {
  broker.wire.sendRaw(bytes)
  const answer = await broker.outcome(broker.wire.receive())
  return answer === 'closed' ? answer : answer.toString('hex', 0, 6)
}

const apiVersions: Case[] = [
  ...[0, 1, 2, 3, 4, 5].map(version =>
    sameAsKafka(`ApiVersions v${version} tells the release`, async broker => {
      const body = { clientSoftwareName: 'differential', clientSoftwareVersion: '1.0' }
      const answer = await broker.send('ApiVersions', version, version >= 3 ? body : {})
      return {
        errorCode: answer.errorCode,
        supported: answer.supportedFeatures.filter(({ name }) => name === RELEASE),
        finalized: answer.finalizedFeatures.filter(({ name }) => name === RELEASE),
        hasEpoch: answer.finalizedFeaturesEpoch >= 0,
      }
    }),
  ),
  otherThanKafka(
    'the features beside the release',
    {
      because: 'a feature is listed once it works',
      ours: [
        { name: 'group.version', minVersion: 0, maxVersion: 1 },
        { name: 'transaction.version', minVersion: 0, maxVersion: 2 },
      ],
    },
    async broker => {
      const answer = await broker.send('ApiVersions', 4, { clientSoftwareName: 'x', clientSoftwareVersion: '1' })
      const others = answer.supportedFeatures.filter(({ name }) => name !== RELEASE)
      return others.sort((one, other) => (one.name < other.name ? -1 : 1))
    },
  ),
  sameAsKafka(
    'ApiVersions of a version to come is answered in v0, with the versions of ApiVersions alone',
    async broker => {
      broker.wire.sendRaw(frame(API_VERSIONS, 99, '00ff'))
      return (await broker.wire.receive()).toString('hex')
    },
  ),
  ...['', '-', 'a b', 'ok-1.0', '-x', 'x-'].map(name =>
    sameAsKafka(`ApiVersions of the client software '${name}'`, async broker => {
      const answer = await broker.send('ApiVersions', 3, { clientSoftwareName: name, clientSoftwareVersion: '1' })
      return { errorCode: answer.errorCode, some: answer.apiKeys.length > 10 }
    }),
  ),
  sameAsKafka('ApiVersions v5 for another cluster', async broker => {
    const body = {
      clientSoftwareName: 'x',
      clientSoftwareVersion: '1',
      clusterId: 'another',
      nodeId: broker.identity.nodeId,
    }
    const answer = await broker.send('ApiVersions', 5, body)
    return { errorCode: answer.errorCode, some: answer.apiKeys.length > 10 }
  }),
  sameAsKafka('ApiVersions v5 for another node', async broker => {
    const { clusterId } = await broker.send('Metadata', 9, { topics: [], allowAutoTopicCreation: false })
    const body = { clientSoftwareName: 'x', clientSoftwareVersion: '1', clusterId, nodeId: 4_711 }
    const answer = await broker.send('ApiVersions', 5, body)
    return { errorCode: answer.errorCode, some: answer.apiKeys.length > 10 }
  }),
  sameAsKafka('ApiVersions v5 for a node without a cluster', async broker => {
    const body = {
      clientSoftwareName: 'x',
      clientSoftwareVersion: '1',
      clusterId: null,
      nodeId: broker.identity.nodeId,
    }
    const answer = await broker.send('ApiVersions', 5, body)
    return { errorCode: answer.errorCode, some: answer.apiKeys.length > 10 }
  }),
]

const frames: Case[] = [
  sameAsKafka('an unknown API closes the connection', broker => answerTo(broker, frame(4_000, 0))),
  sameAsKafka('a negative API key closes the connection', broker => answerTo(broker, frame(-1, 0))),
  sameAsKafka('an API that only controllers have closes the connection', broker => answerTo(broker, frame(52, 0))),
  ...[-1, 14, 100].map(version =>
    sameAsKafka(`Metadata v${version} closes the connection`, broker => answerTo(broker, frame(METADATA, version))),
  ),
  ...[0, 1, 2].map(version =>
    otherThanKafka(
      `Produce v${version}, which is listed for old clients`,
      { because: 'a client is told that its version is not served, and may choose another', ours: '0000004d0000' },
      // acks, timeout, no topics
      broker => answerTo(broker, frame(0, version, '0001' + '000003e8' + '00000000')),
    ),
  ),
  sameAsKafka('a body that is cut short closes the connection', broker =>
    answerTo(broker, frame(METADATA, 1, '000000')),
  ),
  sameAsKafka('bytes behind the body', broker => answerTo(broker, frame(METADATA, 1, '00000000' + 'abcdef'))),
  sameAsKafka('an array longer than the request closes the connection', broker =>
    answerTo(broker, frame(METADATA, 1, '7fffffff')),
  ),
  sameAsKafka('a header that is cut short closes the connection', broker =>
    answerTo(broker, sized(Buffer.from('0003', 'hex'))),
  ),
  sameAsKafka('an empty frame closes the connection', broker => answerTo(broker, sized(Buffer.alloc(0)))),
  sameAsKafka('a frame of a negative size closes the connection', broker =>
    answerTo(broker, Buffer.from('ffffffff', 'hex')),
  ),
  sameAsKafka('a frame larger than the limit closes the connection', broker =>
    answerTo(broker, Buffer.from('7fffffff', 'hex')),
  ),
  sameAsKafka('HTTP closes the connection', broker => answerTo(broker, Buffer.from('GET / HTTP/1.1\r\n\r\n'))),
  sameAsKafka('no client id is no problem', broker => answerTo(broker, frame(METADATA, 1, '00000000', null))),
  sameAsKafka('unknown tags in the header and in the body are skipped', broker =>
    // Header tags, topics [], three flags, and tags of the body: each tag 5 with two bytes.
    answerTo(broker, frame(METADATA, 9, '010502aaaa' + '01' + '000000' + '010502bbbb')),
  ),
  sameAsKafka('requests sent in one go are answered in their order', async broker => {
    const ids = [901, 902, 903, 904, 905]
    const { request } = wireMessages.Metadata
    const body = { topics: [], allowAutoTopicCreation: false }
    broker.wire.sendRaw(Buffer.concat(ids.map((id, i) => requestFrame(request, i % 2 === 0 ? 9 : 4, id, body))))
    const answers = []
    for (const _ of ids) answers.push((await broker.wire.receive()).readInt32BE(0))
    return answers
  }),
  sameAsKafka('a request that arrives byte by byte is answered', async broker => {
    for (const byte of frame(METADATA, 1, '00000000')) {
      broker.wire.sendRaw(Buffer.of(byte))
      await new Promise(setImmediate)
    }
    return (await broker.wire.receive()).readInt32BE(0)
  }),
  otherThanKafka(
    'SASL where it is not set up',
    { because: 'SaslHandshake is not listed yet, and what is not listed closes the connection', ours: 'closed' },
    // SaslHandshake v1 with the mechanism PLAIN
    broker => answerTo(broker, frame(17, 1, `0005${Buffer.from('PLAIN').toString('hex')}`)),
  ),
]

export const connectionCases: Case[] = [...apiVersions, ...frames]
