"""Groups and transactions with aiokafka, against the broker at the address it is given."""

import asyncio
import sys
import time

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError
from suite import check, run_all, unique

ADDRESS = sys.argv[1]


class Admin:
    async def __aenter__(self):
        self.client = AIOKafkaAdminClient(bootstrap_servers=ADDRESS)
        await self.client.start()
        return self.client

    async def __aexit__(self, *_):
        await self.client.close()


async def until(what, condition, seconds=20):
    ends_at = time.monotonic() + seconds
    while not await condition():
        assert time.monotonic() < ends_at, f"waited {seconds} s in vain for {what}"
        await asyncio.sleep(0.02)


async def create_topic(purpose, partitions=1):
    topic = unique(purpose)
    async with Admin() as admin:
        await admin.create_topics([NewTopic(topic, partitions, 1)])

        async def is_there():
            [described] = await admin.describe_topics([topic])
            return len(described["partitions"]) == partitions

        await until("the topic", is_there)
    return topic


async def write(topic, values, partition=0):
    producer = AIOKafkaProducer(bootstrap_servers=ADDRESS)
    await producer.start()
    for value in values:
        await producer.send_and_wait(topic, value.encode(), partition=partition)
    await producer.stop()


class Member:
    """A consumer that reads when somebody waits for something; it talks to its group by itself."""

    def __init__(self, group, topic, **settings):
        self.values = []
        self.consumer = AIOKafkaConsumer(topic, bootstrap_servers=ADDRESS, group_id=group, **{
            "auto_offset_reset": "earliest", "enable_auto_commit": False, "heartbeat_interval_ms": 200,
            "session_timeout_ms": 6000, **settings,
        })

    async def __aenter__(self):
        await self.consumer.start()
        return self

    async def __aexit__(self, *_):
        await self.close()

    async def close(self):
        await self.consumer.stop()

    async def poll(self):
        for records in (await self.consumer.getmany(timeout_ms=20)).values():
            self.values.extend(record.value.decode() for record in records)
        return len(self.values)

    def count(self):
        return len(self.consumer.assignment())

    async def read(self, count):
        async def is_read():
            return await self.poll() >= count

        await until(f"{count} records", is_read)
        return self.values


async def has(*wanted):
    """Members and how many partitions each of them has."""
    return all(member.count() == count for member, count in wanted)


async def share():
    topic, group = await create_topic("shared", 4), unique("group")
    async with Member(group, topic) as first:
        await until("all for the first", lambda: has((first, 4)))
        async with Member(group, topic) as second:
            await until("half for each", lambda: has((first, 2), (second, 2)), 30)
            for partition in range(4):
                await write(topic, [f"{partition}-{i}" for i in range(10)], partition)

            async def is_read():
                return await first.poll() + await second.poll() == 40

            await until("all is read", is_read)
            check(len(set(first.values + second.values)), 40)
        await until("all for the first again", lambda: has((first, 4)), 30)


async def vanish():
    topic, group = await create_topic("vanish", 2), unique("group")
    # It says nothing when it is closed, as a static member, and nobody comes for it.
    async with Member(group, topic) as stays:
        async with Member(group, topic, group_instance_id="gone") as gone:
            await until("half for each", lambda: has((gone, 1), (stays, 1)), 30)
        await until("all for the second", lambda: has((stays, 2)), 30)


async def resume():
    topic, group = await create_topic("resume"), unique("group")
    await write(topic, ["a", "b"])
    async with Member(group, topic, enable_auto_commit=True) as before:
        check(await before.read(2), ["a", "b"])
    await write(topic, ["c"])
    async with Member(group, topic) as after:
        check(await after.read(1), ["c"])


async def commit_metadata():
    topic, group = await create_topic("commit"), unique("group")
    partition = TopicPartition(topic, 0)
    await write(topic, ["a", "b"])
    async with Member(group, topic) as member:
        await member.read(2)
        check(await member.consumer.committed(partition), None)
        await member.consumer.commit({partition: (1, "a note: ä")})
        check(await member.consumer.committed(partition), 1)
    async with Admin() as admin:
        kept = await admin.list_consumer_group_offsets(group)
        check((kept[partition].offset, kept[partition].metadata), (1, "a note: ä"))


async def static():
    topic, group = await create_topic("static", 2), unique("group")
    async with Member(group, topic, group_instance_id="a") as first:
        second = Member(group, topic, group_instance_id="b")
        await second.__aenter__()
        await until("one for each", lambda: has((first, 1), (second, 1)), 30)
        had = second.consumer.assignment()
        await second.close()
        async with Member(group, topic, group_instance_id="b") as again:
            await until("its partition", lambda: has((again, 1)))
            check(again.consumer.assignment(), had)
            check(first.count(), 1)


async def list_groups():
    topic, group = await create_topic("list", 2), unique("group")
    async with Member(group, topic, client_id="me") as member, Admin() as admin:
        await until("all for it", lambda: has((member, 2)))
        check((group, "consumer") in [one[:2] for one in await admin.list_consumer_groups()], True, "listed")
        [answer] = await admin.describe_consumer_groups([group])
        [(error, name, state, kind, _, members, *_)] = answer.groups
        check((error, name, state, kind, len(members)), (0, group, "Stable", "consumer", 1))


async def transactional(transactional_id):
    producer = AIOKafkaProducer(bootstrap_servers=ADDRESS, transactional_id=transactional_id)
    await producer.start()
    return producer


async def read_all(topic, count, level="read_committed", partitions=1):
    """What there is, and nothing behind it."""
    consumer = AIOKafkaConsumer(bootstrap_servers=ADDRESS, group_id=None, isolation_level=level,
                                auto_offset_reset="earliest")
    await consumer.start()
    assigned = [TopicPartition(topic, partition) for partition in range(partitions)]
    consumer.assign(assigned)
    ends = await consumer.end_offsets(assigned)
    await consumer.seek_to_beginning()
    values = []

    async def is_at_end():
        for records in (await consumer.getmany(timeout_ms=50)).values():
            values.extend(record.value.decode() for record in records)
        return all([await consumer.position(of) >= ends[of] for of in assigned])

    await until("the end", is_at_end)
    await consumer.stop()
    check(len(values), count, f"records with {level}")
    return values


async def transactions():
    topic = await create_topic("transactions", 2)
    producer = await transactional(unique("txn"))
    for turn in range(10):
        await producer.begin_transaction()
        for i in range(4):
            await producer.send_and_wait(topic, b"no" if turn % 3 == 0 else b"yes", partition=i % 2)
        await (producer.abort_transaction() if turn % 3 == 0 else producer.commit_transaction())
    await producer.stop()
    check(set(await read_all(topic, 24, partitions=2)), {"yes"})
    await read_all(topic, 40, "read_uncommitted", partitions=2)


async def open_transaction():
    topic = await create_topic("open")
    await write(topic, ["before"])
    producer = await transactional(unique("txn"))
    await producer.begin_transaction()
    await producer.send_and_wait(topic, b"within", partition=0)
    await write(topic, ["behind"])
    # Its end of a partition is that of all records, which is not reached.
    consumer = AIOKafkaConsumer(bootstrap_servers=ADDRESS, group_id=None, isolation_level="read_committed",
                                auto_offset_reset="earliest")
    await consumer.start()
    consumer.assign([TopicPartition(topic, 0)])
    await consumer.seek_to_beginning()
    check((await asyncio.wait_for(consumer.getone(), 20)).value, b"before")
    check(await consumer.getmany(timeout_ms=500), {})
    await consumer.stop()
    check(await read_all(topic, 3, "read_uncommitted"), ["before", "within", "behind"])
    await producer.commit_transaction()
    check(await read_all(topic, 3), ["before", "within", "behind"])
    await producer.stop()


async def is_committed(consumer, partition, offset):
    return (await consumer.committed(partition) or 0) == offset


async def process():
    source, target, group = await create_topic("from"), await create_topic("to"), unique("group")
    partition = TopicPartition(source, 0)
    await write(source, [f"{i}" for i in range(20)])
    producer = await transactional(unique("txn"))
    done, turn = 0, 0
    async with Member(group, source) as member:
        while done < 20:
            member.values.clear()
            values = list((await member.read(5))[:5])
            await producer.begin_transaction()
            for value in values:
                await producer.send_and_wait(target, f"did {value}".encode(), partition=0)
            await producer.send_offsets_to_transaction({partition: done + len(values)}, group)
            if turn % 2 == 0:
                await producer.abort_transaction()
            else:
                await producer.commit_transaction()
                done += len(values)
            member.consumer.seek(partition, done)
            turn += 1
            # It commits without RequireStable: Kafka tells what was before until the markers are written.
            await until("the commit", lambda: is_committed(member.consumer, partition, done))
    await producer.stop()
    check(await read_all(target, 20), [f"did {i}" for i in range(20)])


async def zombie():
    topic, name = await create_topic("zombie"), unique("txn")
    old = await transactional(name)
    await old.begin_transaction()
    await old.send_and_wait(topic, b"old", partition=0)
    young = await transactional(name)
    await young.begin_transaction()
    await young.send_and_wait(topic, b"young", partition=0)
    try:
        await old.commit_transaction()
        raise AssertionError("a zombie commits")
    except KafkaError as thrown:
        assert "Fenced" in repr(thrown) or "Epoch" in repr(thrown), repr(thrown)
    await young.commit_transaction()
    check(await read_all(topic, 1), ["young"])
    await young.stop()


def run(case):
    return lambda: asyncio.run(case())


run_all("aiokafka", {
    "share": run(share),
    "vanish": run(vanish),
    "resume": run(resume),
    "commit-metadata": run(commit_metadata),
    "static": run(static),
    "list-groups": run(list_groups),
    "transactions": run(transactions),
    "open-transaction": run(open_transaction),
    "process": run(process),
    "zombie": run(zombie),
})
