"""kafka-python against the broker at the address it is given."""

import sys
import time

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import AlterConfigOp, ConfigResource, KafkaAdminClient, OffsetSpec
from kafka.errors import MessageSizeTooLargeError, TopicAlreadyExistsError, UnknownTopicOrPartitionError
from suite import (BIG_VALUE, HEADERS, NULLS, NUMBERS, TIMES_MS, TOO_LARGE_VALUE, check, run_all, unique, until)

ADDRESS = sys.argv[1]
admin = KafkaAdminClient(bootstrap_servers=ADDRESS)


def create_topic(purpose, partitions=1, configs=None):
    topic = unique(purpose)
    wanted = {"num_partitions": partitions, "replication_factor": 1, "configs": configs or {}}
    admin.create_topics({topic: wanted})
    until("the topic", lambda: has_partitions(topic, partitions))
    return topic


def has_partitions(topic, count):
    [described] = admin.describe_topics([topic])
    return described["error_code"] == 0 and len(described["partitions"]) == count


def produce(topic, records, **settings):
    """Records of (key, value) or dicts; returns what was answered for each."""
    producer = KafkaProducer(bootstrap_servers=ADDRESS, **settings)
    try:
        futures = []
        for record in records:
            fields = record if isinstance(record, dict) else {"key": record[0], "value": record[1]}
            futures.append(producer.send(topic, **{"partition": 0, **fields}))
        producer.flush(30)
        return [future.get(30) for future in futures]
    finally:
        producer.close(10)


class Reader:
    """A consumer of assigned partitions, without a group."""

    def __init__(self, topic, partitions=(0,), **settings):
        self.consumer = KafkaConsumer(bootstrap_servers=ADDRESS, group_id=None, **settings)
        self.partitions = [TopicPartition(topic, partition) for partition in partitions]
        self.consumer.assign(self.partitions)
        self.consumer.seek_to_beginning(*self.partitions)

    def take(self, count, seconds=20):
        records = []
        ends_at = time.monotonic() + seconds
        while len(records) < count and time.monotonic() < ends_at:
            for batch in self.consumer.poll(timeout_ms=500).values():
                records.extend(batch)
        check(len(records), count, "records read")
        return records

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.consumer.close()


def read(topic, count, **options):
    with Reader(topic, **options) as reader:
        return reader.take(count)


def codec(name):
    def run():
        topic = create_topic(f"codec-{name}")
        produce(topic, NUMBERS, compression_type=None if name == "none" else name, linger_ms=50)
        records = read(topic, len(NUMBERS))
        check([(r.key, r.value) for r in records], NUMBERS)
        check([r.offset for r in records], list(range(len(NUMBERS))))

    return run


def idempotent():
    topic = create_topic("idempotent")
    values = [(None, f"{i}".encode()) for i in range(1000)]
    produce(topic, values, enable_idempotence=True, batch_size=200)
    check([r.value for r in read(topic, len(values))], [value for _, value in values])


def acks():
    topic = create_topic("acks")
    produce(topic, [(None, b"none")], acks=0, enable_idempotence=False)
    until("the record without an answer", lambda: offset_of(topic, OffsetSpec.LATEST) == 1)
    produce(topic, [(None, b"one")], acks=1, enable_idempotence=False)
    check([r.value for r in read(topic, 2)], [b"none", b"one"])


def offset_of(topic, spec):
    wanted = TopicPartition(topic, 0)
    return admin.list_partition_offsets({wanted: spec})[wanted].offset


def headers():
    topic = create_topic("headers")
    with_values = [(name, value) for name, value in HEADERS if value is not None]  # it takes no others
    produce(topic, [{"value": b"v", "headers": with_values}])
    check(list(read(topic, 1)[0].headers), with_values)


def nulls():
    topic = create_topic("nulls")
    produce(topic, NULLS)
    check([(r.key, r.value) for r in read(topic, 3)], NULLS)


def big_message():
    topic = create_topic("big")
    produce(topic, [(None, BIG_VALUE)], max_request_size=2_000_000)
    check(read(topic, 1)[0].value == BIG_VALUE, True)


def too_large():
    topic = create_topic("too-large")
    try:
        produce(topic, [(None, TOO_LARGE_VALUE)], max_request_size=2_000_000)
        raise AssertionError("it was written")
    except MessageSizeTooLargeError:
        pass


def partitions():
    topic = create_topic("partitions", 40)
    produce(topic, [{"value": f"{i}".encode(), "partition": i % 40} for i in range(400)])
    found = {}
    for record in read(topic, 400, partitions=range(40)):
        found.setdefault(record.partition, []).append(int(record.value))
    check(found, {p: list(range(p, 400, 40)) for p in range(40)})


def auto_create():
    topic = unique("auto")
    produce(topic, [{"value": b"v", "partition": None}])
    check(read(topic, 1)[0].value, b"v")


def seek_beginning():
    topic = create_topic("seek")
    produce(topic, [(None, b"a"), (None, b"b")])
    with Reader(topic) as reader:
        check([r.value for r in reader.take(2)], [b"a", b"b"])
        reader.consumer.seek_to_beginning()
        check([r.value for r in reader.take(2)], [b"a", b"b"])


def seek_end():
    topic = create_topic("seek")
    produce(topic, [(None, b"old")])
    with Reader(topic) as reader:
        reader.consumer.seek_to_end()
        check(reader.consumer.position(reader.partitions[0]), 1)
        produce(topic, [(None, b"new")])
        check([r.value for r in reader.take(1)], [b"new"])


def seek_timestamp():
    topic = create_topic("seek")
    produce(topic, [{"value": b"v", "timestamp_ms": time_ms} for time_ms in TIMES_MS])
    with Reader(topic) as reader:
        [partition] = reader.partitions
        found = reader.consumer.offsets_for_times({partition: TIMES_MS[1] - 500})[partition]
        check((found.offset, found.timestamp), (1, TIMES_MS[1]))
        reader.consumer.seek(partition, found.offset)
        check(reader.take(2)[0].timestamp, TIMES_MS[1])
        check(reader.consumer.offsets_for_times({partition: TIMES_MS[2] + 1})[partition], None)


def long_poll():
    topic = create_topic("long-poll")
    produce(topic, [(None, b"old")])
    with Reader(topic, fetch_max_wait_ms=60_000, request_timeout_ms=90_000) as reader:
        reader.consumer.seek(reader.partitions[0], 1)
        reader.consumer.poll(timeout_ms=500)
        produce(topic, [(None, b"new")])
        check([r.value for r in reader.take(1, seconds=15)], [b"new"])


def create_topic_case():
    topic = create_topic("admin", 3)
    try:
        admin.create_topics({topic: {}})
        raise AssertionError("created twice")
    except TopicAlreadyExistsError:
        pass


def describe_topic():
    [described] = admin.describe_topics([create_topic("admin", 3)])
    found = sorted((p["partition_index"], len(p["replica_nodes"]), len(p["isr_nodes"])) for p in described["partitions"])
    check(found, [(i, 1, 1) for i in range(3)])


def list_topics():
    topic = create_topic("admin")
    assert topic in admin.list_topics()


def create_partitions():
    topic = create_topic("grow")
    admin.create_partitions({topic: 4})
    until("the partitions", lambda: has_partitions(topic, 4))


def delete_topic():
    topic = create_topic("gone")
    admin.delete_topics([topic])
    until("its end", lambda: topic not in admin.list_topics())
    try:
        admin.delete_topics([topic])
        raise AssertionError("deleted twice")
    except UnknownTopicOrPartitionError:
        pass


def delete_records():
    topic = create_topic("delete-records")
    produce(topic, NUMBERS[:10])
    admin.delete_records({TopicPartition(topic, 0): 4})
    check(read(topic, 6)[0].offset, 4)


def configs_of(topic):
    described = admin.describe_configs([ConfigResource("topic", topic)], config_filter="all")
    return described["topic"][topic]


def value_of(topic, name):
    return configs_of(topic)[name]["value"]


def describe_configs():
    configs = configs_of(create_topic("configs", configs={"retention.ms": "3600000"}))
    check(str(configs["retention.ms"]["value"]), "3600000")
    assert "TOPIC" in str(configs["retention.ms"]["config_source"]), configs["retention.ms"]
    assert "DEFAULT" in str(configs["cleanup.policy"]["config_source"]), configs["cleanup.policy"]


def alter_configs():
    topic = create_topic("configs", configs={"retention.ms": "3600000"})
    resource = ConfigResource("topic", topic, {"max.message.bytes": "2000"})
    # It reads what is set and sends it along, since AlterConfigs replaces all.
    admin.alter_configs([resource], incremental=False)
    until("the change", lambda: str(value_of(topic, "max.message.bytes")) == "2000")
    check(str(value_of(topic, "retention.ms")), "3600000")


def incremental_alter_configs():
    topic = create_topic("configs", configs={"retention.ms": "3600000"})
    changes = {
        "cleanup.policy": (AlterConfigOp.APPEND, "compact"),
        "max.message.bytes": "2000",
        "retention.ms": (AlterConfigOp.DELETE, None),
    }
    admin.alter_configs([ConfigResource("topic", topic, changes)])
    wanted = {"cleanup.policy": "delete,compact", "max.message.bytes": "2000", "retention.ms": "604800000"}
    until("the changes", lambda: {name: str(value_of(topic, name)) for name in wanted} == wanted)


def describe_cluster():
    cluster = admin.describe_cluster()
    check([f"{broker['host']}:{broker['port']}" for broker in cluster["brokers"]], [ADDRESS])
    assert cluster["cluster_id"], "no cluster id"


def list_offsets():
    topic = create_topic("offsets")
    produce(topic, [{"value": b"v", "timestamp_ms": time_ms} for time_ms in TIMES_MS])
    check(offset_of(topic, OffsetSpec.EARLIEST), 0)
    check(offset_of(topic, OffsetSpec.LATEST), 3)
    check(offset_of(topic, OffsetSpec.MAX_TIMESTAMP), 2)
    check(offset_of(topic, TIMES_MS[1]), 1)


run_all("kafka-python", {
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
    "incremental-alter-configs": incremental_alter_configs,
    "describe-cluster": describe_cluster,
    "list-offsets": list_offsets,
})
admin.close()
