import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Collections;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ConsumerGroupDescription;
import org.apache.kafka.clients.admin.GroupListing;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.RemoveMembersFromConsumerGroupOptions;
import org.apache.kafka.clients.admin.TransactionListing;
import org.apache.kafka.clients.consumer.CloseOptions;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.GroupState;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.GroupNotEmptyException;
import org.apache.kafka.common.errors.GroupSubscribedToTopicException;
import org.apache.kafka.common.errors.WakeupException;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/** Groups and transactions with the Java clients, against the broker at the address that is the only argument. */
public class JavaGroupCases {
  private static final String RANGE = "org.apache.kafka.clients.consumer.RangeAssignor";
  private static final String COOPERATIVE = "org.apache.kafka.clients.consumer.CooperativeStickyAssignor";
  private static final Duration SOON = Duration.ofMillis(50);

  private interface Case {
    void run() throws Exception;
  }

  private interface Condition {
    boolean holds() throws Exception;
  }

  private final String address;
  private final Admin admin;

  private JavaGroupCases(String address) {
    this.address = address;
    this.admin = Admin.create(Map.of("bootstrap.servers", address));
  }

  public static void main(String[] args) {
    JavaGroupCases cases = new JavaGroupCases(args[0]);
    cases.all().forEach(JavaGroupCases::report);
    cases.admin.close(Duration.ofSeconds(5));
  }

  private Map<String, Case> all() {
    Map<String, Case> all = new LinkedHashMap<>();
    all.put("share", this::share);
    all.put("vanish", this::vanish);
    all.put("resume", this::resume);
    all.put("commit-metadata", this::commitMetadata);
    all.put("static", this::staticMember);
    all.put("list-groups", this::listGroups);
    all.put("alter-offsets", this::alterOffsets);
    all.put("delete-group", this::deleteGroup);
    all.put("cooperative", this::cooperative);
    all.put("range", this::range);
    all.put("seek-committed", this::seekCommitted);
    all.put("commit-async", this::commitAsync);
    all.put("remove-members", this::removeMembers);
    all.put("delete-offsets", this::deleteOffsets);
    all.put("transactions", this::transactions);
    all.put("open-transaction", this::openTransaction);
    all.put("process", this::process);
    all.put("zombie", this::zombie);
    all.put("describe-transactions", this::describeTransactions);
    all.put("fence-producers", this::fenceProducers);
    all.put("transaction-timeout", this::transactionTimeout);
    return all;
  }

  /** A consumer that a thread of its own polls. What it does besides, it does between two polls. */
  private final class Member implements AutoCloseable, ConsumerRebalanceListener {
    final KafkaConsumer<String, String> consumer;
    final ConcurrentLinkedQueue<ConsumerRecord<String, String>> records = new ConcurrentLinkedQueue<>();
    final ConcurrentLinkedQueue<Collection<TopicPartition>> revoked = new ConcurrentLinkedQueue<>();
    private final ConcurrentLinkedQueue<Runnable> tasks = new ConcurrentLinkedQueue<>();
    private volatile Set<TopicPartition> assigned = Set.of();
    private volatile boolean ends;
    private volatile boolean leaves = true;
    private final Thread thread;

    Member(String group, String topic, Map<String, Object> settings) {
      consumer = consumer(group, settings);
      consumer.subscribe(List.of(topic), this);
      thread = new Thread(this::poll);
      thread.start();
    }

    private void poll() {
      while (!ends) {
        consumer.poll(SOON).forEach(records::add);
        assigned = Set.copyOf(consumer.assignment());
        for (Runnable task = tasks.poll(); task != null; task = tasks.poll()) task.run();
      }
      CloseOptions.GroupMembershipOperation operation =
          leaves ? CloseOptions.GroupMembershipOperation.DEFAULT : CloseOptions.GroupMembershipOperation.REMAIN_IN_GROUP;
      consumer.close(CloseOptions.timeout(Duration.ofSeconds(5)).withGroupMembershipOperation(operation));
    }

    @Override
    public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
      if (!partitions.isEmpty()) revoked.add(List.copyOf(partitions));
    }

    @Override
    public void onPartitionsAssigned(Collection<TopicPartition> partitions) {}

    <T> T between(java.util.function.Function<KafkaConsumer<String, String>, T> work) throws Exception {
      CompletableFuture<T> result = new CompletableFuture<>();
      tasks.add(() -> {
        try {
          result.complete(work.apply(consumer));
        } catch (RuntimeException thrown) {
          result.completeExceptionally(thrown);
        }
      });
      return result.get(20, TimeUnit.SECONDS);
    }

    Set<Integer> partitions() {
      return assigned.stream().map(TopicPartition::partition).collect(Collectors.toCollection(TreeSet::new));
    }

    List<String> values() {
      return records.stream().map(ConsumerRecord::value).collect(Collectors.toList());
    }

    /** Ends without telling the group. */
    void vanish() throws Exception {
      leaves = false;
      close();
    }

    @Override
    public void close() throws Exception {
      ends = true;
      thread.join(20_000);
    }
  }

  // Groups

  private void share() throws Exception {
    String topic = topic("shared", 4);
    String group = unique("group");
    try (Member first = new Member(group, topic, Map.of())) {
      until("all for the first", () -> first.partitions().size() == 4);
      try (Member second = new Member(group, topic, Map.of())) {
        until("half for each", () -> first.partitions().size() == 2 && second.partitions().size() == 2);
        for (int i = 0; i < 40; i++) write(topic, i % 4, "" + i);
        until("all is read", () -> first.records.size() + second.records.size() == 40);
        Set<String> values = new TreeSet<>(first.values());
        values.addAll(second.values());
        check("values", values.size(), 40);
      }
      until("all for the first again", () -> first.partitions().size() == 4);
    }
  }

  private void vanish() throws Exception {
    String topic = topic("vanish", 2);
    String group = unique("group");
    Map<String, Object> settings = Map.of("session.timeout.ms", 6_000, "heartbeat.interval.ms", 500);
    Member gone = new Member(group, topic, settings);
    until("all for the first", () -> gone.partitions().size() == 2);
    try (Member stays = new Member(group, topic, settings)) {
      until("half for the second", () -> stays.partitions().size() == 1);
      gone.vanish();
      until("all for the second", () -> stays.partitions().size() == 2);
    }
  }

  private void resume() throws Exception {
    String topic = topic("resume", 1);
    String group = unique("group");
    write(topic, 0, "a", "b", "c");
    try (Member member = new Member(group, topic, Map.of("enable.auto.commit", true))) {
      until("all is read", () -> member.records.size() == 3);
    }
    write(topic, 0, "d");
    try (Member member = new Member(group, topic, Map.of())) {
      until("the rest is read", () -> member.records.size() > 0);
      check("values", member.values(), List.of("d"));
    }
  }

  private void commitMetadata() throws Exception {
    String topic = topic("commit", 1);
    TopicPartition partition = new TopicPartition(topic, 0);
    String group = unique("group");
    write(topic, 0, "a", "b");
    OffsetAndMetadata wanted = new OffsetAndMetadata(1, Optional.of(0), "a note: ä");
    try (Member member = new Member(group, topic, Map.of())) {
      until("all is read", () -> member.records.size() == 2);
      check("before", member.between(consumer -> consumer.committed(Set.of(partition))).get(partition), null);
      member.between(consumer -> {
        consumer.commitSync(Map.of(partition, wanted));
        return null;
      });
      check("committed", member.between(consumer -> consumer.committed(Set.of(partition))), Map.of(partition, wanted));
    }
    check("for the administrator", offsetsOf(group), Map.of(partition, wanted));
  }

  private void staticMember() throws Exception {
    String topic = topic("static", 2);
    String group = unique("group");
    try (Member first = new Member(group, topic, Map.of("group.instance.id", "a"))) {
      Member second = new Member(group, topic, Map.of("group.instance.id", "b"));
      until("one for each", () -> first.partitions().size() == 1 && second.partitions().size() == 1);
      int generation = first.between(consumer -> consumer.groupMetadata().generationId());
      Set<Integer> had = second.partitions();
      int revocations = first.revoked.size();
      second.close();
      try (Member again = new Member(group, topic, Map.of("group.instance.id", "b"))) {
        until("its partition", () -> again.partitions().equals(had));
        check("generation", again.between(consumer -> consumer.groupMetadata().generationId()), generation);
        check("generation", first.between(consumer -> consumer.groupMetadata().generationId()), generation);
        check("revocations", first.revoked.size(), revocations);
      }
    }
  }

  private void listGroups() throws Exception {
    String topic = topic("list", 2);
    String group = unique("group");
    try (Member member = new Member(group, topic, Map.of("client.id", "me", "group.instance.id", "i"))) {
      until("all for it", () -> member.partitions().size() == 2);
      Collection<GroupListing> listed = admin.listGroups().all().get();
      GroupListing found = listed.stream().filter(one -> one.groupId().equals(group)).findFirst().orElseThrow();
      check("state", found.groupState(), Optional.of(GroupState.STABLE));
      check("protocol", found.protocol(), "consumer");
      ConsumerGroupDescription described = described(group);
      check("assignor", described.partitionAssignor(), "range");
      check("state", described.groupState(), GroupState.STABLE);
      check("members", described.members().stream()
          .map(one -> one.clientId() + one.host() + one.groupInstanceId() + one.assignment().topicPartitions().size())
          .collect(Collectors.toList()), List.of("me/127.0.0.1Optional[i]2"));
    }
  }

  private void alterOffsets() throws Exception {
    String topic = topic("alter", 1);
    TopicPartition partition = new TopicPartition(topic, 0);
    String group = unique("group");
    write(topic, 0, "a", "b", "c");
    admin.alterConsumerGroupOffsets(group, Map.of(partition, new OffsetAndMetadata(2))).all().get();
    try (Member member = new Member(group, topic, Map.of())) {
      until("the rest", () -> member.records.size() > 0);
      check("values", member.values(), List.of("c"));
      expectAny("UnknownMemberId", () -> admin.alterConsumerGroupOffsets(group, Map.of(partition, new OffsetAndMetadata(0))).all().get());
    }
  }

  private void deleteGroup() throws Exception {
    String topic = topic("delete", 1);
    String group = unique("group");
    try (Member member = new Member(group, topic, Map.of())) {
      until("its partition", () -> member.partitions().size() == 1);
      expectAny(GroupNotEmptyException.class.getSimpleName(), () -> admin.deleteConsumerGroups(List.of(group)).all().get());
    }
    admin.deleteConsumerGroups(List.of(group)).all().get();
    check("listed", admin.listGroups().all().get().stream().anyMatch(one -> one.groupId().equals(group)), false);
    expectAny("GroupIdNotFound", () -> admin.deleteConsumerGroups(List.of(group)).all().get());
  }

  private void cooperative() throws Exception {
    String topic = topic("cooperative", 4);
    String group = unique("group");
    Map<String, Object> settings = Map.of("partition.assignment.strategy", COOPERATIVE);
    try (Member first = new Member(group, topic, settings)) {
      until("all for the first", () -> first.partitions().size() == 4);
      try (Member second = new Member(group, topic, settings)) {
        until("half for each", () -> first.partitions().size() == 2 && second.partitions().size() == 2);
        check("revoked", first.revoked.stream().mapToInt(Collection::size).sum(), 2);
      }
      until("all for the first again", () -> first.partitions().size() == 4);
      check("revoked after", first.revoked.size(), 1);
    }
  }

  private void range() throws Exception {
    String topic = topic("range", 4);
    String group = unique("group");
    Map<String, Object> settings = Map.of("partition.assignment.strategy", RANGE);
    try (Member first = new Member(group, topic, settings); Member second = new Member(group, topic, settings)) {
      until("half for each", () -> first.partitions().size() == 2 && second.partitions().size() == 2);
      Set<Set<Integer>> shares = Set.of(first.partitions(), second.partitions());
      check("shares", shares, Set.of(new TreeSet<>(Set.of(0, 1)), new TreeSet<>(Set.of(2, 3))));
      check("assignor", described(group).partitionAssignor(), "range");
    }
  }

  private void seekCommitted() throws Exception {
    String topic = topic("seek", 1);
    TopicPartition partition = new TopicPartition(topic, 0);
    write(topic, 0, "a", "b");
    try (KafkaConsumer<String, String> consumer = consumer(unique("group"), Map.of())) {
      consumer.subscribe(List.of(topic));
      List<String> values = new ArrayList<>();
      until("all is read", () -> add(values, consumer) == 2);
      consumer.pause(List.of(partition));
      write(topic, 0, "c");
      check("paused", consumer.poll(Duration.ofMillis(300)).count(), 0);
      consumer.resume(List.of(partition));
      until("the third", () -> add(values, consumer) == 3);
      consumer.seekToBeginning(List.of(partition));
      until("all again", () -> add(values, consumer) == 6);
      check("values", values, List.of("a", "b", "c", "a", "b", "c"));
      consumer.wakeup();
      try {
        consumer.poll(Duration.ofSeconds(20));
        throw new AssertionError("not woken");
      } catch (WakeupException expected) {
        consumer.commitSync();
      }
      check("committed", consumer.committed(Set.of(partition)).get(partition).offset(), 3L);
      check("lag", consumer.currentLag(partition).orElse(-1), 0L);
    }
  }

  private static int add(List<String> values, KafkaConsumer<String, String> consumer) {
    consumer.poll(SOON).forEach(record -> values.add(record.value()));
    return values.size();
  }

  private void commitAsync() throws Exception {
    String topic = topic("async", 1);
    TopicPartition partition = new TopicPartition(topic, 0);
    String group = unique("group");
    List<String> heard = Collections.synchronizedList(new ArrayList<>());
    try (Member member = new Member(group, topic, Map.of())) {
      until("its partition", () -> member.partitions().size() == 1);
      member.between(consumer -> {
        for (long i = 1; i <= 20; i++) {
          consumer.commitAsync(Map.of(partition, new OffsetAndMetadata(i)),
              (offsets, error) -> heard.add(offsets.get(partition).offset() + (error == null ? "" : error.toString())));
        }
        return null;
      });
      until("all answers", () -> heard.size() == 20);
      check("heard", heard.get(19), "20");
    }
    check("committed", offsetsOf(group).get(partition).offset(), 20L);
  }

  private void removeMembers() throws Exception {
    String topic = topic("remove", 2);
    String group = unique("group");
    try (Member member = new Member(group, topic, Map.of())) {
      until("all for it", () -> member.partitions().size() == 2);
      String before = member.between(consumer -> consumer.groupMetadata().memberId());
      admin.removeMembersFromConsumerGroup(group, new RemoveMembersFromConsumerGroupOptions()).all().get();
      until("another id", () -> {
        String now = member.between(consumer -> consumer.groupMetadata().memberId());
        return !now.isEmpty() && !now.equals(before) && member.partitions().size() == 2;
      });
    }
  }

  private void deleteOffsets() throws Exception {
    String topic = topic("wanted", 1);
    TopicPartition wanted = new TopicPartition(topic, 0);
    TopicPartition unwanted = new TopicPartition(topic("unwanted", 1), 0);
    String group = unique("group");
    OffsetAndMetadata some = new OffsetAndMetadata(1);
    admin.alterConsumerGroupOffsets(group, Map.of(wanted, some, unwanted, some)).all().get();
    try (Member member = new Member(group, topic, Map.of())) {
      until("its partition", () -> member.partitions().size() == 1);
      admin.deleteConsumerGroupOffsets(group, Set.of(unwanted)).all().get();
      expectAny(GroupSubscribedToTopicException.class.getSimpleName(),
          () -> admin.deleteConsumerGroupOffsets(group, Set.of(wanted)).partitionResult(wanted).get());
    }
    check("left", offsetsOf(group).keySet(), Set.of(wanted));
  }

  // Transactions

  private void transactions() throws Exception {
    String topic = topic("transactions", 2);
    try (KafkaProducer<String, String> producer = transactional(unique("txn"), Map.of())) {
      for (int round = 0; round < 10; round++) {
        producer.beginTransaction();
        for (int i = 0; i < 4; i++) producer.send(new ProducerRecord<>(topic, i % 2, null, round + (round % 3 == 0 ? " no" : " yes")));
        if (round % 3 == 0) {
          producer.flush();
          producer.abortTransaction();
        } else {
          producer.commitTransaction();
        }
      }
    }
    List<String> values = readAll(topic, 2, "read_committed");
    check("committed", values.size(), 24);
    check("aborted", values.stream().filter(value -> value.endsWith("no")).count(), 0L);
    check("all", readAll(topic, 2, "read_uncommitted").size(), 40);
  }

  private void openTransaction() throws Exception {
    String topic = topic("open", 1);
    write(topic, 0, "before");
    try (KafkaProducer<String, String> producer = transactional(unique("txn"), Map.of())) {
      producer.beginTransaction();
      producer.send(new ProducerRecord<>(topic, 0, null, "within")).get();
      write(topic, 0, "behind");
      check("committed", readAll(topic, 1, "read_committed"), List.of("before"));
      check("all", readAll(topic, 1, "read_uncommitted"), List.of("before", "within", "behind"));
      producer.commitTransaction();
    }
    check("committed", readAll(topic, 1, "read_committed"), List.of("before", "within", "behind"));
  }

  private void process() throws Exception {
    String from = topic("from", 1);
    String to = topic("to", 1);
    String group = unique("group");
    for (int i = 0; i < 30; i++) write(from, 0, "" + i);
    try (KafkaProducer<String, String> producer = transactional(unique("txn"), Map.of());
        KafkaConsumer<String, String> consumer = consumer(group, Map.of("max.poll.records", 4, "isolation.level", "read_committed"))) {
      consumer.subscribe(List.of(from));
      int rounds = 0;
      for (long done = 0; done < 30; rounds++) {
        List<ConsumerRecord<String, String>> polled = new ArrayList<>();
        until("records", () -> {
          consumer.poll(SOON).forEach(polled::add);
          return !polled.isEmpty();
        });
        producer.beginTransaction();
        for (ConsumerRecord<String, String> record : polled) producer.send(new ProducerRecord<>(to, 0, null, "did " + record.value()));
        OffsetAndMetadata next = new OffsetAndMetadata(polled.get(polled.size() - 1).offset() + 1);
        producer.sendOffsetsToTransaction(Map.of(new TopicPartition(from, 0), next), consumer.groupMetadata());
        if (rounds % 2 == 0) {
          producer.abortTransaction();
          consumer.seek(new TopicPartition(from, 0), done);
        } else {
          producer.commitTransaction();
          done = next.offset();
        }
        OffsetAndMetadata committed = offsetsOf(group).get(new TopicPartition(from, 0));
        check("committed", committed == null ? 0 : committed.offset(), done);
      }
    }
    List<String> expected = java.util.stream.IntStream.range(0, 30).mapToObj(i -> "did " + i).collect(Collectors.toList());
    check("results", readAll(to, 1, "read_committed"), expected);
  }

  private void zombie() throws Exception {
    String topic = topic("zombie", 1);
    String id = unique("txn");
    KafkaProducer<String, String> old = transactional(id, Map.of());
    old.beginTransaction();
    old.send(new ProducerRecord<>(topic, 0, null, "old")).get();
    try (KafkaProducer<String, String> young = transactional(id, Map.of())) {
      young.beginTransaction();
      young.send(new ProducerRecord<>(topic, 0, null, "young")).get();
      expectAny("Fenced|InvalidProducerEpoch", () -> {
        old.send(new ProducerRecord<>(topic, 0, null, "zombie")).get();
        old.commitTransaction();
      });
      young.commitTransaction();
    }
    old.close(Duration.ZERO);
    check("committed", readAll(topic, 1, "read_committed"), List.of("young"));
  }

  private void describeTransactions() throws Exception {
    String topic = topic("described", 1);
    String id = unique("txn");
    try (KafkaProducer<String, String> producer = transactional(id, Map.of("transaction.timeout.ms", 55_000))) {
      producer.beginTransaction();
      producer.send(new ProducerRecord<>(topic, 0, null, "v")).get();
      var described = admin.describeTransactions(List.of(id)).description(id).get();
      check("state", described.state().toString(), "Ongoing");
      check("timeout", described.transactionTimeoutMs(), 55_000L);
      check("partitions", described.topicPartitions(), Set.of(new TopicPartition(topic, 0)));
      Collection<TransactionListing> listed = admin.listTransactions().all().get();
      check("listed", listed.stream().filter(one -> one.transactionalId().equals(id)).count(), 1L);
      producer.commitTransaction();
      until("its end", () -> admin.describeTransactions(List.of(id)).description(id).get().state().toString().equals("CompleteCommit"));
    }
  }

  private void fenceProducers() throws Exception {
    String topic = topic("fenced", 1);
    String id = unique("txn");
    KafkaProducer<String, String> producer = transactional(id, Map.of());
    producer.beginTransaction();
    producer.send(new ProducerRecord<>(topic, 0, null, "v")).get();
    admin.fenceProducers(List.of(id)).all().get();
    expectAny("Fenced|InvalidProducerEpoch", producer::commitTransaction);
    producer.close(Duration.ZERO);
    check("committed", readAll(topic, 1, "read_committed"), List.of());
  }

  private void transactionTimeout() throws Exception {
    String topic = topic("late", 1);
    KafkaProducer<String, String> producer = transactional(unique("txn"), Map.of("transaction.timeout.ms", 1_000));
    producer.beginTransaction();
    producer.send(new ProducerRecord<>(topic, 0, null, "late")).get();
    write(topic, 0, "behind");
    until("the end of the transaction", () -> readAll(topic, 1, "read_committed").equals(List.of("behind")));
    expectAny("Fenced|InvalidProducerEpoch|InvalidTxnState", producer::commitTransaction);
    producer.close(Duration.ZERO);
  }

  // Helpers

  private KafkaConsumer<String, String> consumer(String group, Map<String, Object> settings) {
    Map<String, Object> all = new HashMap<>(Map.of("bootstrap.servers", address, "auto.offset.reset", "earliest",
        "enable.auto.commit", false, "heartbeat.interval.ms", 200, "group.protocol", "classic"));
    if (group != null) all.put("group.id", group);
    all.putAll(settings);
    return new KafkaConsumer<>(all, new StringDeserializer(), new StringDeserializer());
  }

  private KafkaProducer<String, String> transactional(String id, Map<String, Object> settings) {
    Map<String, Object> all = new HashMap<>(Map.of("bootstrap.servers", address, "transactional.id", id));
    all.putAll(settings);
    KafkaProducer<String, String> producer = new KafkaProducer<>(all, new StringSerializer(), new StringSerializer());
    producer.initTransactions();
    return producer;
  }

  private void write(String topic, int partition, String... values) throws Exception {
    Map<String, Object> settings = Map.of("bootstrap.servers", address);
    try (KafkaProducer<String, String> producer = new KafkaProducer<>(settings, new StringSerializer(), new StringSerializer())) {
      for (String value : values) producer.send(new ProducerRecord<>(topic, partition, null, value)).get();
    }
  }

  /** All that can be read now. */
  private List<String> readAll(String topic, int partitions, String isolation) {
    List<String> values = new ArrayList<>();
    try (KafkaConsumer<String, String> consumer = consumer(null, Map.of("isolation.level", isolation))) {
      List<TopicPartition> assigned = new ArrayList<>();
      for (int i = 0; i < partitions; i++) assigned.add(new TopicPartition(topic, i));
      consumer.assign(assigned);
      Map<TopicPartition, Long> ends = consumer.endOffsets(assigned);
      consumer.seekToBeginning(assigned);
      while (assigned.stream().anyMatch(of -> consumer.position(of) < ends.get(of))) {
        consumer.poll(SOON).forEach(record -> values.add(record.value()));
      }
    }
    return values;
  }

  private Map<TopicPartition, OffsetAndMetadata> offsetsOf(String group) throws Exception {
    return admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get();
  }

  private ConsumerGroupDescription described(String group) throws Exception {
    return admin.describeConsumerGroups(List.of(group)).describedGroups().get(group).get();
  }

  private String topic(String purpose, int partitions) throws Exception {
    String topic = unique(purpose);
    admin.createTopics(List.of(new NewTopic(topic, partitions, (short) 1))).all().get();
    until("the topic", () -> admin.describeTopics(List.of(topic)).allTopicNames().get().get(topic).partitions().size() == partitions);
    return topic;
  }

  private static String unique(String purpose) {
    return purpose + "-" + UUID.randomUUID().toString().substring(0, 13);
  }

  private static void check(String what, Object actual, Object expected) {
    if (!java.util.Objects.equals(actual, expected)) throw new AssertionError(what + ": " + actual + " instead of " + expected);
  }

  /** Something whose class says what is expected, or whose cause does. */
  private static void expectAny(String expected, Case run) throws Exception {
    try {
      run.run();
    } catch (ExecutionException | KafkaException thrown) {
      for (Throwable one = thrown; one != null; one = one.getCause()) {
        if (java.util.regex.Pattern.compile(expected).matcher(one.getClass().getSimpleName()).find()) return;
      }
      throw thrown;
    }
    throw new AssertionError("no " + expected);
  }

  private static void until(String what, Condition condition) throws Exception {
    long end = System.nanoTime() + 30_000_000_000L;
    while (!condition.holds()) {
      if (System.nanoTime() > end) throw new AssertionError("waited in vain for " + what);
      Thread.sleep(20);
    }
  }

  private static void report(String name, Case run) {
    String detail = "";
    try {
      run.run();
    } catch (Throwable thrown) {
      java.io.StringWriter trace = new java.io.StringWriter();
      thrown.printStackTrace(new java.io.PrintWriter(trace));
      detail = trace.toString();
    }
    System.out.printf("{\"client\":\"java\",\"case\":\"%s\",\"ok\":%b,\"detail\":\"%s\"}%n", name, detail.isEmpty(), quoted(detail));
  }

  private static String quoted(String text) {
    return text.replace("\\", "\\\\").replace("\"", "\\\"").replace("\n", "\\n").replace("\t", " ").replace("\r", "");
  }
}
