"""Groups and transactions with confluent-kafka, which is librdkafka, against the broker at the address it is given."""

import sys

from confluent_kafka import (Consumer, ConsumerGroupState, ConsumerGroupTopicPartitions, KafkaException, Producer,
                             TopicPartition)
from confluent_kafka.admin import AdminClient, NewTopic
from suite import check, run_all, unique, until

ADDRESS = sys.argv[1]
admin = AdminClient({"bootstrap.servers": ADDRESS})


def create_topic(purpose, partitions=1):
    topic = unique(purpose)
    admin.create_topics([NewTopic(topic, partitions, 1)])[topic].result(20)
    until("the topic", lambda: len(admin.list_topics(topic, timeout=10).topics[topic].partitions) == partitions)
    return topic


def write(topic, values, partition=0):
    producer = Producer({"bootstrap.servers": ADDRESS})
    for value in values:
        producer.produce(topic, value=value, partition=partition)
    check(producer.flush(30), 0, "records not delivered")


class Member:
    """A consumer that is polled by whoever waits for something."""

    def __init__(self, group, topic, **settings):
        self.values = []
        # By the new protocol the broker says how long a session is.
        own = {} if "group.protocol" in settings else {"heartbeat.interval.ms": 200, "session.timeout.ms": 6000}
        self.consumer = Consumer({
            "bootstrap.servers": ADDRESS, "group.id": group, "auto.offset.reset": "earliest",
            "enable.auto.commit": False, **own, **settings,
        })
        self.consumer.subscribe([topic])

    def poll(self):
        message = self.consumer.poll(0.02)
        if message is not None:
            if message.error():
                raise KafkaException(message.error())
            self.values.append(message.value().decode())
        return self

    def partitions(self):
        return sorted(of.partition for of in self.poll().consumer.assignment())

    def read(self, count):
        until(f"{count} records", lambda: len(self.poll().values) >= count)
        return self.values

    def close(self):
        self.consumer.close()


def share(**settings):
    topic, group = create_topic("shared", 4), unique("group")
    first = Member(group, topic, **settings)
    until("all for the first", lambda: len(first.partitions()) == 4)
    second = Member(group, topic, **settings)
    until("half for each", lambda: (len(first.partitions()), len(second.partitions())) == (2, 2), 30)
    for partition in range(4):
        write(topic, [f"{partition}-{i}" for i in range(10)], partition)
    until("all is read", lambda: len(first.poll().values) + len(second.poll().values) == 40)
    check(len(set(first.values + second.values)), 40)
    second.close()
    until("all for the first again", lambda: len(first.partitions()) == 4, 30)
    first.close()


def new_protocol():
    share(**{"group.protocol": "consumer"})


def vanish():
    topic, group = create_topic("vanish", 2), unique("group")
    # It says nothing when it is closed, as a static member, and nobody comes for it.
    gone, stays = Member(group, topic, **{"group.instance.id": "gone"}), Member(group, topic)
    until("half for each", lambda: (len(gone.partitions()), len(stays.partitions())) == (1, 1), 30)
    gone.close()
    until("all for the second", lambda: len(stays.partitions()) == 2, 30)
    stays.close()


def resume():
    topic, group = create_topic("resume"), unique("group")
    write(topic, ["a", "b"])
    before = Member(group, topic, **{"enable.auto.commit": True})
    check(before.read(2), ["a", "b"])
    before.close()
    write(topic, ["c"])
    after = Member(group, topic)
    check(after.read(1), ["c"])
    after.close()


def commit_metadata():
    topic, group = create_topic("commit"), unique("group")
    write(topic, ["a", "b"])
    member = Member(group, topic)
    member.read(2)
    check(member.consumer.committed([TopicPartition(topic, 0)], timeout=10)[0].offset, -1001)
    member.consumer.commit(offsets=[TopicPartition(topic, 0, 1, metadata="a note: ä")], asynchronous=False)
    [committed] = member.consumer.committed([TopicPartition(topic, 0)], timeout=10)
    check((committed.offset, committed.metadata), (1, "a note: ä"))
    member.close()


def static():
    topic, group = create_topic("static", 2), unique("group")
    first = Member(group, topic, **{"group.instance.id": "a"})
    second = Member(group, topic, **{"group.instance.id": "b"})
    until("one for each", lambda: (len(first.partitions()), len(second.partitions())) == (1, 1), 30)
    had = second.partitions()
    second.close()
    again = Member(group, topic, **{"group.instance.id": "b"})
    until("its partition", lambda: first.poll() and again.partitions() == had)
    check(len(first.partitions()), 1)
    again.close()
    first.close()


def described(group):
    return admin.describe_consumer_groups([group])[group].result(20)


def list_groups():
    topic, group = create_topic("list", 2), unique("group")
    member = Member(group, topic, **{"client.id": "me"})
    until("all for it", lambda: len(member.partitions()) == 2)
    listed = admin.list_consumer_groups(states={ConsumerGroupState.STABLE}).result(20)
    check(group in [one.group_id for one in listed.valid], True, "listed")
    found = described(group)
    check((found.state, found.partition_assignor, found.is_simple_consumer_group),
          (ConsumerGroupState.STABLE, "range", False))
    [only] = found.members
    check((only.client_id, only.host, len(only.assignment.topic_partitions)), ("me", "/127.0.0.1", 2))
    member.close()
    until("its end", lambda: described(group).state == ConsumerGroupState.EMPTY)


def alter_offsets():
    topic, group = create_topic("alter"), unique("group")
    write(topic, ["a", "b", "c"])
    wanted = ConsumerGroupTopicPartitions(group, [TopicPartition(topic, 0, 2)])
    admin.alter_consumer_group_offsets([wanted])[group].result(20)
    found = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)])[group].result(20)
    check([(one.topic, one.offset) for one in found.topic_partitions], [(topic, 2)])
    member = Member(group, topic)
    check(member.read(1), ["c"])
    member.close()


def delete_group():
    topic, group = create_topic("delete"), unique("group")
    member = Member(group, topic)
    until("its partition", lambda: len(member.partitions()) == 1)
    expect("NON_EMPTY_GROUP", lambda: admin.delete_consumer_groups([group])[group].result(20))
    member.close()
    admin.delete_consumer_groups([group])[group].result(20)
    expect("GROUP_ID_NOT_FOUND", lambda: admin.delete_consumer_groups([group])[group].result(20))


def expect(name, run):
    try:
        run()
    except KafkaException as thrown:
        check(thrown.args[0].name(), name, "error")
        return
    raise AssertionError(f"no {name}")


def transactional(transactional_id, **settings):
    producer = Producer({"bootstrap.servers": ADDRESS, "transactional.id": transactional_id, **settings})
    producer.init_transactions(20)
    return producer


def read_all(topic, count, level="read_committed", partitions=1):
    """What there is, and nothing behind it."""
    consumer = Consumer({"bootstrap.servers": ADDRESS, "group.id": "unused", "isolation.level": level,
                         "enable.partition.eof": True})
    consumer.assign([TopicPartition(topic, partition, 0) for partition in range(partitions)])
    values, ended = [], set()

    def has_ended():
        message = consumer.poll(0.1)
        if message is not None and message.error():
            ended.add(message.partition())
        elif message is not None:
            values.append(message.value().decode())
        return len(ended) == partitions

    until("the end", has_ended)
    consumer.close()
    check(len(values), count, f"records with {level}")
    return values


def transactions():
    topic = create_topic("transactions", 2)
    producer = transactional(unique("txn"))
    for turn in range(10):
        producer.begin_transaction()
        for i in range(4):
            producer.produce(topic, value="no" if turn % 3 == 0 else "yes", partition=i % 2)
        if turn % 3 == 0:
            producer.flush(20)
            producer.abort_transaction(20)
        else:
            producer.commit_transaction(20)
    check(set(read_all(topic, 24, partitions=2)), {"yes"})
    read_all(topic, 40, "read_uncommitted", partitions=2)


def open_transaction():
    topic = create_topic("open")
    write(topic, ["before"])
    producer = transactional(unique("txn"))
    producer.begin_transaction()
    producer.produce(topic, value="within", partition=0)
    check(producer.flush(20), 0)
    write(topic, ["behind"])
    check(read_all(topic, 1), ["before"])
    check(read_all(topic, 3, "read_uncommitted"), ["before", "within", "behind"])
    producer.commit_transaction(20)
    check(read_all(topic, 3), ["before", "within", "behind"])


def process():
    source, target, group = create_topic("from"), create_topic("to"), unique("group")
    write(source, [f"{i}" for i in range(20)])
    member = Member(group, source)
    producer = transactional(unique("txn"))
    done, turn = 0, 0
    while done < 20:
        member.values.clear()
        values = list(member.read(5)[:5])
        producer.begin_transaction()
        for value in values:
            producer.produce(target, value=f"did {value}", partition=0)
        upto = [TopicPartition(source, 0, done + len(values))]
        producer.send_offsets_to_transaction(upto, member.consumer.consumer_group_metadata(), 20)
        if turn % 2 == 0:
            producer.abort_transaction(20)
            member.consumer.seek(TopicPartition(source, 0, done))
        else:
            producer.commit_transaction(20)
            done += len(values)
        turn += 1
        [committed] = member.consumer.committed([TopicPartition(source, 0)], timeout=10)
        check(max(committed.offset, 0), done, "committed")
    check(read_all(target, 20), [f"did {i}" for i in range(20)])
    member.close()


def zombie():
    topic, name = create_topic("zombie"), unique("txn")
    old = transactional(name)
    old.begin_transaction()
    old.produce(topic, value="old", partition=0)
    check(old.flush(20), 0)
    young = transactional(name)
    young.begin_transaction()
    young.produce(topic, value="young", partition=0)
    expect("_FENCED", lambda: old.commit_transaction(20))
    young.commit_transaction(20)
    check(read_all(topic, 1), ["young"])


run_all("confluent-kafka", {
    "share": share,
    "new-protocol": new_protocol,
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
