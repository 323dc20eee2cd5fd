"""aiokafka against the broker at the address it is given."""

import asyncio
import sys
import time

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic, RecordsToDelete
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import MessageSizeTooLargeError
from suite import (BIG_VALUE, HEADERS, NULLS, NUMBERS, TIMES_MS, TOO_LARGE_VALUE, check, run_all, unique)

ADDRESS = sys.argv[1]
CREATED = 0
TOPIC_ALREADY_EXISTS = 36
UNKNOWN_TOPIC_OR_PARTITION = 3


class Admin:
    async def __aenter__(self):
        self.client = AIOKafkaAdminClient(bootstrap_servers=ADDRESS)
        await self.client.start()
        return self.client

    async def __aexit__(self, *_):
        await self.client.close()


async def until(what, condition, seconds=20):
    """A change may be visible a moment after its answer: Kafka's broker follows its controller."""
    ends_at = time.monotonic() + seconds
    while not await condition():
        assert time.monotonic() < ends_at, f"waited {seconds} s in vain for {what}"
        await asyncio.sleep(0.02)


async def partitions_of(topic):
    async with Admin() as admin:
        [described] = await admin.describe_topics([topic])
        return [] if described["error_code"] else described["partitions"]


async def create_topic(purpose, partitions=1, configs=None):
    topic = unique(purpose)
    async with Admin() as admin:
        answer = await admin.create_topics([NewTopic(topic, partitions, 1, topic_configs=configs or {})])
        check([error for _, error, *_ in answer.topic_errors], [CREATED], "error of the creation")
    await until("the topic", lambda: is_as_large(topic, partitions))
    return topic


async def is_as_large(topic, count):
    return len(await partitions_of(topic)) == count


async def produce(topic, records, **settings):
    """Records of (key, value) or dicts."""
    producer = AIOKafkaProducer(bootstrap_servers=ADDRESS, **settings)
    await producer.start()
    try:
        futures = []
        for record in records:
            fields = record if isinstance(record, dict) else {"key": record[0], "value": record[1]}
            futures.append(await producer.send(topic, **{"partition": 0, **fields}))
        return await asyncio.gather(*futures)
    finally:
        await producer.stop()


class Reader:
    """A consumer of assigned partitions, without a group."""

    def __init__(self, topic, partitions=(0,), **settings):
        self.consumer = AIOKafkaConsumer(bootstrap_servers=ADDRESS, group_id=None, **settings)
        self.partitions = [TopicPartition(topic, partition) for partition in partitions]

    async def __aenter__(self):
        await self.consumer.start()
        self.consumer.assign(self.partitions)
        await self.consumer.seek_to_beginning()
        return self

    async def __aexit__(self, *_):
        await self.consumer.stop()

    async def take(self, count, seconds=20):
        return [await asyncio.wait_for(self.consumer.getone(), seconds) for _ in range(count)]


async def read(topic, count, **options):
    async with Reader(topic, **options) as reader:
        return await reader.take(count)


def codec(name):
    async def run():
        topic = await create_topic(f"codec-{name}")
        await produce(topic, NUMBERS, compression_type=None if name == "none" else name, linger_ms=50)
        records = await read(topic, len(NUMBERS))
        check([(r.key, r.value) for r in records], NUMBERS)
        check([r.offset for r in records], list(range(len(NUMBERS))))

    return run


async def idempotent():
    topic = await create_topic("idempotent")
    values = [(None, f"{i}".encode()) for i in range(1000)]
    await produce(topic, values, enable_idempotence=True, max_batch_size=200)
    check([r.value for r in await read(topic, len(values))], [value for _, value in values])


async def acks():
    topic = await create_topic("acks")
    await produce(topic, [(None, b"none")], acks=0)
    await until("the record without an answer", lambda: ends_at(topic, 1))
    await produce(topic, [(None, b"one")], acks=1)
    check([r.value for r in await read(topic, 2)], [b"none", b"one"])


async def ends_at(topic, offset):
    async with Reader(topic) as reader:
        return (await reader.consumer.end_offsets(reader.partitions))[reader.partitions[0]] == offset


async def headers():
    topic = await create_topic("headers")
    await produce(topic, [{"value": b"v", "headers": HEADERS}])
    check(list((await read(topic, 1))[0].headers), HEADERS)


async def nulls():
    topic = await create_topic("nulls")
    await produce(topic, NULLS)
    check([(r.key, r.value) for r in await read(topic, 3)], NULLS)


async def big_message():
    topic = await create_topic("big")
    await produce(topic, [(None, BIG_VALUE)], max_request_size=2_000_000)
    check((await read(topic, 1))[0].value == BIG_VALUE, True)


async def too_large():
    topic = await create_topic("too-large")
    try:
        await produce(topic, [(None, TOO_LARGE_VALUE)], max_request_size=2_000_000)
        raise AssertionError("it was written")
    except MessageSizeTooLargeError:
        pass


async def partitions():
    topic = await create_topic("partitions", 40)
    await produce(topic, [{"value": f"{i}".encode(), "partition": i % 40} for i in range(400)])
    found = {}
    for record in await read(topic, 400, partitions=range(40)):
        found.setdefault(record.partition, []).append(int(record.value))
    check(found, {p: list(range(p, 400, 40)) for p in range(40)})


async def auto_create():
    topic = unique("auto")
    await produce(topic, [{"value": b"v", "partition": None}])
    check((await read(topic, 1))[0].value, b"v")


async def seek_beginning():
    topic = await create_topic("seek")
    await produce(topic, [(None, b"a"), (None, b"b")])
    async with Reader(topic) as reader:
        check([r.value for r in await reader.take(2)], [b"a", b"b"])
        await reader.consumer.seek_to_beginning()
        check([r.value for r in await reader.take(2)], [b"a", b"b"])


async def seek_end():
    topic = await create_topic("seek")
    await produce(topic, [(None, b"old")])
    async with Reader(topic) as reader:
        await reader.consumer.seek_to_end()
        await produce(topic, [(None, b"new")])
        check([r.value for r in await reader.take(1)], [b"new"])


async def seek_timestamp():
    topic = await create_topic("seek")
    await produce(topic, [{"value": b"v", "timestamp_ms": time_ms} for time_ms in TIMES_MS])
    async with Reader(topic) as reader:
        [partition] = reader.partitions
        found = (await reader.consumer.offsets_for_times({partition: TIMES_MS[1] - 500}))[partition]
        check((found.offset, found.timestamp), (1, TIMES_MS[1]))
        reader.consumer.seek(partition, found.offset)
        check((await reader.take(1))[0].timestamp, TIMES_MS[1])
        check((await reader.consumer.offsets_for_times({partition: TIMES_MS[2] + 1}))[partition], None)


async def long_poll():
    topic = await create_topic("long-poll")
    await produce(topic, [(None, b"old")])
    async with Reader(topic, fetch_max_wait_ms=60_000, request_timeout_ms=90_000) as reader:
        reader.consumer.seek(reader.partitions[0], 1)
        waiting = asyncio.create_task(reader.take(1, seconds=15))
        await produce(topic, [(None, b"new")])
        check([r.value for r in await waiting], [b"new"])


async def create_topic_case():
    topic = await create_topic("admin", 3)
    async with Admin() as admin:
        answer = await admin.create_topics([NewTopic(topic, 1, 1)])
    check([error for _, error, *_ in answer.topic_errors], [TOPIC_ALREADY_EXISTS])


async def describe_topic():
    found = await partitions_of(await create_topic("admin", 3))
    found = sorted((p["partition"], len(p["replicas"]), len(p["isr"])) for p in found)
    check(found, [(i, 1, 1) for i in range(3)])


async def list_topics():
    topic = await create_topic("admin")
    async with Admin() as admin:
        assert topic in await admin.list_topics()


async def create_partitions():
    topic = await create_topic("grow")
    async with Admin() as admin:
        await admin.create_partitions({topic: NewPartitions(4)})
    await until("the partitions", lambda: is_as_large(topic, 4))


async def delete_topic():
    topic = await create_topic("gone")
    async with Admin() as admin:
        await admin.delete_topics([topic])

        async def is_gone():
            return topic not in await admin.list_topics()

        await until("its end", is_gone)
        answer = await admin.delete_topics([topic])
        check([error for _, error, *_ in answer.topic_error_codes], [UNKNOWN_TOPIC_OR_PARTITION])


async def delete_records():
    topic = await create_topic("delete-records")
    await produce(topic, NUMBERS[:10])
    wanted = TopicPartition(topic, 0)
    async with Admin() as admin:
        check((await admin.delete_records({wanted: RecordsToDelete(4)}))[wanted], 4)
    check((await read(topic, 6))[0].offset, 4)


async def configs_of(topic):
    """By name: the value and where it comes from."""
    async with Admin() as admin:
        [answer] = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])
    [(_, _, _, _, entries)] = answer.resources
    return {name: (value, source) for name, value, _, source, *_ in entries}


async def describe_configs():
    configs = await configs_of(await create_topic("configs", configs={"retention.ms": "3600000"}))
    check(configs["retention.ms"], ("3600000", 1))
    check(configs["cleanup.policy"], ("delete", 5))


async def alter_configs():
    topic = await create_topic("configs", configs={"retention.ms": "3600000"})
    async with Admin() as admin:
        resource = ConfigResource(ConfigResourceType.TOPIC, topic, {"max.message.bytes": "2000"})
        await admin.alter_configs([resource])

    async def has_changed():
        return (await configs_of(topic))["max.message.bytes"][0] == "2000"

    await until("the change", has_changed)
    check((await configs_of(topic))["retention.ms"][0], "604800000")


async def describe_cluster():
    async with Admin() as admin:
        cluster = await admin.describe_cluster()
    check([f"{broker['host']}:{broker['port']}" for broker in cluster["brokers"]], [ADDRESS])
    assert cluster["cluster_id"], "no cluster id"


async def list_offsets():
    topic = await create_topic("offsets")
    await produce(topic, [{"value": b"v", "timestamp_ms": time_ms} for time_ms in TIMES_MS])
    async with Reader(topic) as reader:
        [partition] = reader.partitions
        check(await reader.consumer.beginning_offsets([partition]), {partition: 0})
        check(await reader.consumer.end_offsets([partition]), {partition: 3})
        found = await reader.consumer.offsets_for_times({partition: TIMES_MS[1]})
        check(found[partition].offset, 1)


def in_a_loop(run):
    return lambda: asyncio.run(run())


run_all("aiokafka", {name: in_a_loop(run) for name, run in {
    **{f"codec-{name}": codec(name) for name in ("none", "gzip", "snappy", "lz4", "zstd")},
    "idempotent": idempotent,
    "acks": acks,
    "headers": headers,
    "nulls": nulls,
    "big-message": big_message,
    "too-large": too_large,
    "partitions": partitions,
    "auto-create": auto_create,
    "seek-beginning": seek_beginning,
    "seek-end": seek_end,
    "seek-timestamp": seek_timestamp,
    "long-poll": long_poll,
    "create-topic": create_topic_case,
    "describe-topic": describe_topic,
    "list-topics": list_topics,
    "create-partitions": create_partitions,
    "delete-topic": delete_topic,
    "delete-records": delete_records,
    "describe-configs": describe_configs,
    "alter-configs": alter_configs,
    "describe-cluster": describe_cluster,
    "list-offsets": list_offsets,
}.items()})
