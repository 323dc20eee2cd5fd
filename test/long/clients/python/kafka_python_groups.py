"""Groups and transactions with kafka-python, against the broker at the address it is given."""

import sys
import threading
import time

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import KafkaAdminClient
from kafka.errors import GroupIdNotFoundError, KafkaError, NonEmptyGroupError
from kafka.structs import OffsetAndMetadata
from suite import check, run_all, unique, until

ADDRESS = sys.argv[1]
admin = KafkaAdminClient(bootstrap_servers=ADDRESS)


def create_topic(purpose, partitions=1):
    topic = unique(purpose)
    admin.create_topics({topic: {"num_partitions": partitions, "replication_factor": 1, "configs": {}}})
    until("the topic", lambda: len(admin.describe_topics([topic])[0]["partitions"]) == partitions)
    return topic


def write(topic, values, partition=0):
    producer = KafkaProducer(bootstrap_servers=ADDRESS)
    for value in values:
        producer.send(topic, value=value.encode(), partition=partition)
    producer.flush(30)
    producer.close(10)


class Member:
    """A consumer that a thread of its own polls: it joins its group while it polls. Others use it between two polls."""

    def __init__(self, group, topic, **settings):
        self.values = []
        self.lock = threading.Lock()
        self.is_open = True
        self.consumer = KafkaConsumer(bootstrap_servers=ADDRESS, group_id=group, **{
            "auto_offset_reset": "earliest", "enable_auto_commit": False, "heartbeat_interval_ms": 200,
            "session_timeout_ms": 6000, **settings,
        })
        self.consumer.subscribe([topic])
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while self.is_open:
            with self.lock:
                for records in self.consumer.poll(timeout_ms=20).values():
                    self.values.extend(record.value.decode() for record in records)
            time.sleep(0.001)

    def partitions(self):
        return sorted(of.partition for of in self.consumer.assignment())

    def generation(self):
        return self.consumer.group_metadata().generation_id

    def read(self, count):
        until(f"{count} records", lambda: len(self.values) >= count)
        return self.values

    def close(self):
        self.is_open = False
        self.thread.join(20)
        self.consumer.close()


def share():
    topic, group = create_topic("shared", 4), unique("group")
    first = Member(group, topic)
    until("all for the first", lambda: len(first.partitions()) == 4)
    second = Member(group, topic)
    until("half for each", lambda: (len(first.partitions()), len(second.partitions())) == (2, 2), 30)
    for partition in range(4):
        write(topic, [f"{partition}-{i}" for i in range(10)], partition)
    until("all is read", lambda: len(first.values) + len(second.values) == 40)
    check(len(set(first.values + second.values)), 40)
    second.close()
    until("all for the first again", lambda: len(first.partitions()) == 4, 30)
    first.close()


def vanish():
    topic, group = create_topic("vanish", 2), unique("group")
    # It says nothing when it is closed, as a static member, and nobody comes for it.
    gone, stays = Member(group, topic, group_instance_id="gone"), Member(group, topic)
    until("half for each", lambda: (len(gone.partitions()), len(stays.partitions())) == (1, 1), 30)
    gone.close()
    until("all for the second", lambda: len(stays.partitions()) == 2, 30)
    stays.close()


def resume():
    topic, group = create_topic("resume"), unique("group")
    write(topic, ["a", "b"])
    before = Member(group, topic, enable_auto_commit=True)
    check(before.read(2), ["a", "b"])
    before.close()
    write(topic, ["c"])
    after = Member(group, topic)
    check(after.read(1), ["c"])
    after.close()


def commit_metadata():
    topic, group = create_topic("commit"), unique("group")
    partition = TopicPartition(topic, 0)
    write(topic, ["a", "b"])
    member = Member(group, topic)
    member.read(2)
    with member.lock:
        check(member.consumer.committed(partition), None)
        member.consumer.commit({partition: OffsetAndMetadata(1, "a note: ä", -1)})
        committed = member.consumer.committed(partition, metadata=True)
    check((committed.offset, committed.metadata), (1, "a note: ä"))
    member.close()


def static():
    topic, group = create_topic("static", 2), unique("group")
    first, second = [Member(group, topic, group_instance_id=name) for name in "ab"]
    until("one for each", lambda: (len(first.partitions()), len(second.partitions())) == (1, 1), 30)
    had, generation = second.partitions(), first.generation()
    second.close()
    again = Member(group, topic, group_instance_id="b")
    until("its partition", lambda: again.partitions() == had)
    check([first.generation(), again.generation()], [generation] * 2)
    again.close()
    first.close()


def list_groups():
    topic, group = create_topic("list", 2), unique("group")
    member = Member(group, topic, client_id="me")
    until("all for it", lambda: len(member.partitions()) == 2)
    check([one["protocol_type"] for one in admin.list_groups() if one["group_id"] == group], ["consumer"])
    found = admin.describe_groups([group])[group]
    check((found["group_state"], found["protocol_type"]), ("Stable", "consumer"))
    check([(one["client_id"], one["client_host"]) for one in found["members"]], [("me", "/127.0.0.1")])
    member.close()


def alter_offsets():
    topic, group = create_topic("alter"), unique("group")
    partition = TopicPartition(topic, 0)
    write(topic, ["a", "b", "c"])
    admin.alter_group_offsets(group, {partition: OffsetAndMetadata(2, "", -1)})
    check(admin.list_group_offsets({group: None})[group][partition].offset, 2)
    member = Member(group, topic)
    check(member.read(1), ["c"])
    member.close()


def delete_group():
    topic, group = create_topic("delete"), unique("group")
    member = Member(group, topic)
    until("its partition", lambda: len(member.partitions()) == 1)
    check(outcome(group), NonEmptyGroupError.__name__)
    member.close()
    check(outcome(group), "OK")
    check(outcome(group), GroupIdNotFoundError.__name__)


def outcome(group):
    return str(dict(admin.delete_groups([group]))[group]).split("]")[-1].split(":")[0].strip() or "OK"


def transactional(transactional_id):
    producer = KafkaProducer(bootstrap_servers=ADDRESS, transactional_id=transactional_id)
    producer.init_transactions()
    return producer


def read_all(topic, count, level="read_committed", partitions=1):
    """What there is, and nothing behind it."""
    consumer = KafkaConsumer(bootstrap_servers=ADDRESS, group_id=None, isolation_level=level,
                             auto_offset_reset="earliest")
    assigned = [TopicPartition(topic, partition) for partition in range(partitions)]
    consumer.assign(assigned)
    ends = consumer.end_offsets(assigned)
    consumer.seek_to_beginning(*assigned)
    values = []

    def is_at_end():
        for records in consumer.poll(timeout_ms=50).values():
            values.extend(record.value.decode() for record in records)
        return all(consumer.position(of) >= ends[of] for of in assigned)

    until("the end", is_at_end)
    consumer.close()
    check(len(values), count, f"records with {level}")
    return values


def transactions():
    topic = create_topic("transactions", 2)
    producer = transactional(unique("txn"))
    for turn in range(10):
        producer.begin_transaction()
        for i in range(4):
            producer.send(topic, value=b"no" if turn % 3 == 0 else b"yes", partition=i % 2)
        if turn % 3 == 0:
            producer.flush(20)
            producer.abort_transaction()
        else:
            producer.commit_transaction()
    producer.close(10)
    check(set(read_all(topic, 24, partitions=2)), {"yes"})
    read_all(topic, 40, "read_uncommitted", partitions=2)


def open_transaction():
    topic = create_topic("open")
    write(topic, ["before"])
    producer = transactional(unique("txn"))
    producer.begin_transaction()
    producer.send(topic, value=b"within", partition=0).get(20)
    write(topic, ["behind"])
    check(read_all(topic, 1), ["before"])
    check(read_all(topic, 3, "read_uncommitted"), ["before", "within", "behind"])
    producer.commit_transaction()
    check(read_all(topic, 3), ["before", "within", "behind"])
    producer.close(10)


def process():
    source, target, group = create_topic("from"), create_topic("to"), unique("group")
    partition = TopicPartition(source, 0)
    write(source, [f"{i}" for i in range(20)])
    producer = transactional(unique("txn"))
    done, turn = 0, 0
    member = Member(group, source)
    while done < 20:
        member.read(5)
        with member.lock:
            values = member.values[:5]
            producer.begin_transaction()
            for value in values:
                producer.send(target, value=f"did {value}".encode(), partition=0)
            upto = {partition: OffsetAndMetadata(done + len(values), "", -1)}
            producer.send_offsets_to_transaction(upto, member.consumer.group_metadata())
            if turn % 2 == 0:
                producer.abort_transaction()
            else:
                producer.commit_transaction()
                done += len(values)
            turn += 1
            check(member.consumer.committed(partition) or 0, done, "committed")
            member.consumer.seek(partition, done)
            member.values.clear()
    member.close()
    check(read_all(target, 20), [f"did {i}" for i in range(20)])
    producer.close(10)


def zombie():
    topic, name = create_topic("zombie"), unique("txn")
    old = transactional(name)
    old.begin_transaction()
    old.send(topic, value=b"old", partition=0).get(20)
    young = transactional(name)
    young.begin_transaction()
    young.send(topic, value=b"young", partition=0).get(20)
    try:
        old.commit_transaction()
        raise AssertionError("a zombie commits")
    except KafkaError as thrown:
        assert "Fenced" in repr(thrown) or "Epoch" in repr(thrown), repr(thrown)
    young.commit_transaction()
    check(read_all(topic, 1), ["young"])
    young.close(10)


run_all("kafka-python", {
    "share": share,
    "vanish": vanish,
    "resume": resume,
    "commit-metadata": commit_metadata,
    "static": static,
    "list-groups": list_groups,
    "alter-offsets": alter_offsets,
    "delete-group": delete_group,
    "transactions": transactions,
    "open-transaction": open_transaction,
    "process": process,
    "zombie": zombie,
})
admin.close()
