"""confluent-kafka, which is librdkafka, against the broker at the address it is given."""

import sys
import time

from confluent_kafka import OFFSET_BEGINNING, OFFSET_END, Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ConfigSource,
    NewPartitions,
    NewTopic,
    OffsetSpec,
    ResourceType,
)
from confluent_kafka import TopicCollection
from suite import (BIG_VALUE, HEADERS, NULLS, NUMBERS, TIMES_MS, TOO_LARGE_VALUE, check, run_all, unique, until)

ADDRESS = sys.argv[1]
admin = AdminClient({"bootstrap.servers": ADDRESS})


def create_topic(purpose, partitions=1, config=None):
    topic = unique(purpose)
    admin.create_topics([NewTopic(topic, partitions, 1, config=config or {})])[topic].result(20)
    until("the topic", lambda: has_partitions(topic, partitions))
    return topic


def has_partitions(topic, count):
    known = admin.list_topics(topic, timeout=10).topics[topic]
    return known.error is None and len(known.partitions) == count


def produce(topic, records, **settings):
    """Records of (key, value) or dicts; returns the delivery reports."""
    producer = Producer({"bootstrap.servers": ADDRESS, **settings})
    delivered = []
    for record in records:
        fields = record if isinstance(record, dict) else {"key": record[0], "value": record[1]}
        producer.produce(topic, on_delivery=lambda error, message: delivered.append((error, message)),
                         **{"partition": 0, **fields})
    check(producer.flush(30), 0, "records not delivered")
    return delivered


def produce_all(topic, records, **settings):
    for error, _ in produce(topic, records, **settings):
        assert error is None, error


class Reader:
    """A consumer of assigned partitions; it never joins the group it has to name."""

    def __init__(self, topic, partitions=(0,), offset=OFFSET_BEGINNING):
        self.consumer = Consumer({"bootstrap.servers": ADDRESS, "group.id": "unused", "enable.auto.commit": False})
        self.consumer.assign([TopicPartition(topic, partition, offset) for partition in partitions])

    def take(self, count, seconds=20):
        messages = []
        ends_at = time.monotonic() + seconds
        while len(messages) < count and time.monotonic() < ends_at:
            message = self.consumer.poll(0.5)
            if message is None:
                continue
            if message.error():
                raise KafkaException(message.error())
            messages.append(message)
        check(len(messages), count, "messages read")
        return messages

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
        produce_all(topic, NUMBERS, **{"compression.type": name, "linger.ms": 50})
        messages = read(topic, len(NUMBERS))
        check([(m.key(), m.value()) for m in messages], NUMBERS)
        check([m.offset() for m in messages], list(range(len(NUMBERS))))

    return run


def idempotent():
    topic = create_topic("idempotent")
    values = [(None, f"{i}".encode()) for i in range(2000)]
    produce_all(topic, values, **{"enable.idempotence": True, "linger.ms": 0})
    check([m.value() for m in read(topic, len(values))], [value for _, value in values])


def acks():
    topic = create_topic("acks")
    produce_all(topic, [(None, b"none")], acks=0)
    until("the record without an answer", lambda: end_of(topic) == 1)
    produce_all(topic, [(None, b"one")], acks=1)
    check([m.value() for m in read(topic, 2)], [b"none", b"one"])


def end_of(topic, partition=0):
    return offset_of(topic, OffsetSpec.latest(), partition)


def offset_of(topic, spec, partition=0):
    wanted = TopicPartition(topic, partition)
    return admin.list_offsets({wanted: spec})[wanted].result(20).offset


def headers():
    topic = create_topic("headers")
    produce_all(topic, [{"value": b"v", "headers": HEADERS}])
    check(read(topic, 1)[0].headers(), HEADERS)


def nulls():
    topic = create_topic("nulls")
    produce_all(topic, NULLS)
    check([(m.key(), m.value()) for m in read(topic, 3)], NULLS)


def big_message():
    # librdkafka counts its own overhead against the same limit, so that the largest is a little smaller.
    topic = create_topic("big")
    value = BIG_VALUE[:999_000]
    produce_all(topic, [(None, value)])
    check(read(topic, 1)[0].value() == value, True)


def too_large():
    topic = create_topic("too-large")
    [(error, _)] = produce(topic, [(None, TOO_LARGE_VALUE)], **{"message.max.bytes": 2_000_000})
    check(error.code(), KafkaError.MSG_SIZE_TOO_LARGE)


def partitions():
    topic = create_topic("partitions", 40)
    produce_all(topic, [{"value": f"{i}".encode(), "partition": i % 40} for i in range(400)])
    found = {}
    for message in read(topic, 400, partitions=range(40)):
        found.setdefault(message.partition(), []).append(int(message.value()))
    check(found, {p: list(range(p, 400, 40)) for p in range(40)})


def auto_create():
    topic = unique("auto")
    produce_all(topic, [{"value": b"v", "partition": -1}])
    check(read(topic, 1)[0].value(), b"v")


def seek_beginning():
    topic = create_topic("seek")
    produce_all(topic, [(None, b"a"), (None, b"b")])
    with Reader(topic) as reader:
        check([m.value() for m in reader.take(2)], [b"a", b"b"])
        reader.consumer.seek(TopicPartition(topic, 0, OFFSET_BEGINNING))
        check([m.value() for m in reader.take(2)], [b"a", b"b"])


def seek_end():
    topic = create_topic("seek")
    produce_all(topic, [(None, b"old")])
    with Reader(topic, offset=OFFSET_END) as reader:
        reader.consumer.poll(1.0)
        produce_all(topic, [(None, b"new")])
        check([m.value() for m in reader.take(1)], [b"new"])


def seek_timestamp():
    topic = create_topic("seek")
    produce_all(topic, [{"value": f"{time_ms}".encode(), "timestamp": time_ms} for time_ms in TIMES_MS])
    with Reader(topic) as reader:
        [found] = reader.consumer.offsets_for_times([TopicPartition(topic, 0, TIMES_MS[1] - 500)], timeout=10)
        check(found.offset, 1)
        reader.consumer.seek(found)
        check(reader.take(1)[0].timestamp()[1], TIMES_MS[1])
        [behind] = reader.consumer.offsets_for_times([TopicPartition(topic, 0, TIMES_MS[2] + 1)], timeout=10)
        check(behind.offset, OFFSET_END)


def long_poll():
    topic = create_topic("long-poll")
    produce_all(topic, [(None, b"old")])
    settings = {"bootstrap.servers": ADDRESS, "group.id": "unused", "fetch.wait.max.ms": 60_000, "socket.timeout.ms": 70_000}
    consumer = Consumer(settings)
    consumer.assign([TopicPartition(topic, 0, 1)])
    consumer.poll(1.0)
    produce_all(topic, [(None, b"new")])
    message = until("the record", lambda: consumer.poll(0.1), 15)
    check(message.value(), b"new")
    consumer.close()


def create_topic_case():
    topic = create_topic("admin", 3)
    try:
        admin.create_topics([NewTopic(topic, 1, 1)])[topic].result(20)
        raise AssertionError("created twice")
    except KafkaException as error:
        check(error.args[0].code(), KafkaError.TOPIC_ALREADY_EXISTS)


def describe_topic():
    topic = create_topic("admin", 3)
    described = admin.describe_topics(TopicCollection([topic]))[topic].result(20)
    check([(p.id, len(p.replicas), len(p.isr), p.leader.port) for p in described.partitions],
          [(i, 1, 1, int(ADDRESS.split(":")[1])) for i in range(3)])
    assert str(described.topic_id) != "", "no topic id"


def list_topics():
    topic = create_topic("admin")
    assert topic in admin.list_topics(timeout=10).topics


def create_partitions():
    topic = create_topic("grow")
    admin.create_partitions([NewPartitions(topic, 4)])[topic].result(20)
    until("the partitions", lambda: has_partitions(topic, 4))


def delete_topic():
    topic = create_topic("gone")
    admin.delete_topics([topic])[topic].result(20)
    until("its end", lambda: topic not in admin.list_topics(timeout=10).topics)
    try:
        admin.delete_topics([topic])[topic].result(20)
        raise AssertionError("deleted twice")
    except KafkaException as error:
        check(error.args[0].code(), KafkaError.UNKNOWN_TOPIC_OR_PART)


def delete_records():
    topic = create_topic("delete-records")
    produce_all(topic, NUMBERS[:10])
    wanted = TopicPartition(topic, 0, 4)
    check(admin.delete_records([wanted])[wanted].result(20).low_watermark, 4)
    check(read(topic, 6)[0].offset(), 4)


def configs_of(topic):
    resource = ConfigResource(ResourceType.TOPIC, topic)
    return admin.describe_configs([resource])[resource].result(20)


def describe_configs():
    configs = configs_of(create_topic("configs", config={"retention.ms": "3600000"}))
    check((configs["retention.ms"].value, configs["retention.ms"].source), ("3600000", ConfigSource.DYNAMIC_TOPIC_CONFIG.value))
    check((configs["cleanup.policy"].value, configs["cleanup.policy"].source), ("delete", ConfigSource.DEFAULT_CONFIG.value))


def alter_configs():
    topic = create_topic("configs", config={"retention.ms": "3600000"})
    resource = ConfigResource(ResourceType.TOPIC, topic, set_config={"max.message.bytes": "2000"})
    admin.alter_configs([resource])[resource].result(20)
    until("the change", lambda: configs_of(topic)["max.message.bytes"].value == "2000")
    check(configs_of(topic)["retention.ms"].value, "604800000")


def incremental_alter_configs():
    topic = create_topic("configs", config={"retention.ms": "3600000"})
    changes = [
        ConfigEntry("cleanup.policy", "compact", incremental_operation=AlterConfigOpType.APPEND),
        ConfigEntry("max.message.bytes", "2000", incremental_operation=AlterConfigOpType.SET),
        ConfigEntry("retention.ms", None, incremental_operation=AlterConfigOpType.DELETE),
    ]
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=changes)
    admin.incremental_alter_configs([resource])[resource].result(20)
    wanted = {"cleanup.policy": "delete,compact", "max.message.bytes": "2000", "retention.ms": "604800000"}
    until("the changes", lambda: {name: configs_of(topic)[name].value for name in wanted} == wanted)


def describe_cluster():
    cluster = admin.describe_cluster().result(20)
    check([f"{node.host}:{node.port}" for node in cluster.nodes], [ADDRESS])
    assert cluster.cluster_id, "no cluster id"


def list_offsets():
    topic = create_topic("offsets")
    produce_all(topic, [{"value": b"v", "timestamp": time_ms} for time_ms in TIMES_MS])
    check(offset_of(topic, OffsetSpec.earliest()), 0)
    check(offset_of(topic, OffsetSpec.latest()), 3)
    check(offset_of(topic, OffsetSpec.max_timestamp()), 2)
    check(offset_of(topic, OffsetSpec.for_timestamp(TIMES_MS[1])), 1)


run_all("confluent-kafka", {
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
