import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.ExecutionException;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.ConsumerGroupDescription;
import org.apache.kafka.clients.admin.GroupListing;
import org.apache.kafka.clients.admin.ListGroupsOptions;
import org.apache.kafka.clients.admin.MemberDescription;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.CloseOptions;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.SubscriptionPattern;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.GroupState;
import org.apache.kafka.common.GroupType;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.GroupNotEmptyException;
import org.apache.kafka.common.errors.InvalidConfigurationException;
import org.apache.kafka.common.errors.InvalidRegularExpression;
import org.apache.kafka.common.errors.UnsupportedAssignorException;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/**
 * The Java consumer with group.protocol=consumer against the broker at the address that is the only argument; one line of JSON per
 * case. When it prints {"please":"kill"}, the broker is to be killed and started again, and a line on stdin says that it was.
 */
public class ConsumerProtocolCases {
  private static final long TIMEOUT_MS = 60_000;

  private interface Case {
    void run() throws Exception;
  }

  private interface Condition {
    boolean holds() throws Exception;
  }

  private final String address;
  private final Admin admin;
  private final BufferedReader stdin = new BufferedReader(new InputStreamReader(System.in));

  private ConsumerProtocolCases(String address) {
    this.address = address;
    this.admin = Admin.create(Map.of("bootstrap.servers", address));
  }

  public static void main(String[] args) {
    ConsumerProtocolCases cases = new ConsumerProtocolCases(args[0]);
    Map<String, Case> all = new LinkedHashMap<>();
    all.put("shares", cases::shares);
    all.put("range", cases::range);
    all.put("regex", cases::regex);
    all.put("grows", cases::grows);
    all.put("static", cases::staticMember);
    all.put("kill", cases::kill);
    all.put("migrates", cases::migrates);
    all.put("refused", cases::refused);
    all.put("configs", cases::configs);
    all.forEach(ConsumerProtocolCases::report);
    cases.admin.close(Duration.ofSeconds(5));
  }

  // ---- cases

  private void shares() throws Exception {
    String topic = topic("shares", 6);
    String group = "group-of-" + topic;
    produce(topic, 6, 0, 300);
    Set<String> seen = ConcurrentHashMap.newKeySet();
    List<Member> members = new ArrayList<>();
    for (int i = 0; i < 3; i++) members.add(new Member(group, Set.of(topic), seen, Map.of()));
    try {
      until("two partitions each", () -> members.stream().allMatch(member -> member.assigned.size() == 2));
      check("partitions in all", union(members).size(), 6);
      until("300 records", () -> seen.size() == 300);
      ConsumerGroupDescription described = describe(group);
      check("type", described.type(), GroupType.CONSUMER);
      check("assignor", described.partitionAssignor(), "uniform");
      until("a stable group", () -> describe(group).groupState() == GroupState.STABLE);
      check("members", described.members().size(), 3);
      try {
        admin.deleteConsumerGroups(List.of(group)).all().get();
        throw new AssertionError("a group with members was deleted");
      } catch (ExecutionException refused) {
        check("refusal", refused.getCause().getClass(), GroupNotEmptyException.class);
      }
      members.remove(0).close();
      until("three partitions each", () -> members.stream().allMatch(member -> member.assigned.size() == 3));
      produce(topic, 6, 300, 300);
      until("600 records", () -> seen.size() == 600);
      for (Member member : members) check("lost", member.lost, 0);
    } finally {
      for (Member member : members) member.close();
    }
    check("duplicates", duplicates(members), 0);
    long committed = admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get().values().stream()
        .mapToLong(offset -> offset.offset()).sum();
    check("committed", committed, 600L);
    Collection<GroupListing> listed =
        admin.listGroups(new ListGroupsOptions().withTypes(Set.of(GroupType.CONSUMER))).all().get();
    check("listed", listed.stream().anyMatch(listing -> listing.groupId().equals(group)), true);
    admin.deleteConsumerGroups(List.of(group)).all().get();
  }

  private void range() throws Exception {
    String one = topic("range-one", 5);
    String two = topic("range-two", 5);
    List<Member> members = new ArrayList<>();
    Map<String, Object> configs = Map.of("group.remote.assignor", "range");
    for (int i = 0; i < 2; i++) members.add(new Member("group-of-" + one, Set.of(one, two), new HashSet<>(), configs));
    try {
      until("all partitions", () -> union(members).size() == 10 && members.stream().noneMatch(m -> m.assigned.isEmpty()));
      for (Member member : members) check("co-partitioned", member.partitionsOf(one), member.partitionsOf(two));
    } finally {
      for (Member member : members) member.close();
    }
  }

  private void regex() throws Exception {
    String prefix = "regex-" + unique();
    admin.createTopics(List.of(new NewTopic(prefix + "-a", 2, (short) 1))).all().get();
    Member member = new Member("group-of-" + prefix, new SubscriptionPattern(prefix + "-[a-c]"));
    try {
      until("the first topic", () -> member.assigned.size() == 2);
      admin.createTopics(List.of(new NewTopic(prefix + "-b", 3, (short) 1))).all().get();
      admin.createTopics(List.of(new NewTopic(prefix + "-x", 3, (short) 1))).all().get();
      until("the new topic", () -> member.assigned.size() == 5);
      admin.deleteTopics(List.of(prefix + "-a")).all().get();
      until("the old one is gone", () -> member.assigned.size() == 3);
    } finally {
      member.close();
    }
  }

  private void grows() throws Exception {
    String topic = topic("grows", 1);
    Member member = new Member("group-of-" + topic, Set.of(topic), new HashSet<>(), Map.of());
    try {
      until("one partition", () -> member.assigned.size() == 1);
      admin.createPartitions(Map.of(topic, NewPartitions.increaseTo(4))).all().get();
      until("four partitions", () -> member.assigned.size() == 4);
    } finally {
      member.close();
    }
  }

  private void staticMember() throws Exception {
    String topic = topic("static", 4);
    String group = "group-of-" + topic;
    Map<String, Object> asOne = Map.of("group.instance.id", "one");
    Member one = new Member(group, Set.of(topic), new HashSet<>(), asOne);
    Member two = new Member(group, Set.of(topic), new HashSet<>(), Map.of("group.instance.id", "two"));
    try {
      until("two partitions each", () -> one.assigned.size() == 2 && two.assigned.size() == 2);
      Set<TopicPartition> had = Set.copyOf(one.assigned);
      int rebalances = two.rebalances;
      one.close();
      Member again = new Member(group, Set.of(topic), new HashSet<>(), asOne);
      until("the same partitions", () -> again.assigned.equals(had));
      check("rebalances of the other", two.rebalances, rebalances);
      again.close();
    } finally {
      one.close();
      two.close();
    }
  }

  private void kill() throws Exception {
    String topic = topic("kill", 4);
    String group = "group-of-" + topic;
    Set<String> seen = ConcurrentHashMap.newKeySet();
    List<Member> members = new ArrayList<>();
    for (int i = 0; i < 2; i++) members.add(new Member(group, Set.of(topic), seen, Map.of()));
    try {
      until("two partitions each", () -> members.stream().allMatch(member -> member.assigned.size() == 2));
      produce(topic, 4, 0, 100);
      until("100 records", () -> seen.size() == 100);
      until("a stable group", () -> describe(group).groupState() == GroupState.STABLE);
      Map<String, Integer> epochs = epochs(group);
      List<Integer> rebalances = members.stream().map(member -> member.rebalances).toList();
      System.out.println("{\"please\":\"kill\"}");
      check("the broker", stdin.readLine(), "restarted");
      produce(topic, 4, 100, 100);
      until("200 records", () -> seen.size() == 200);
      check("epochs", epochs(group), epochs);
      check("rebalances", members.stream().map(member -> member.rebalances).toList(), rebalances);
      members.add(new Member(group, Set.of(topic), seen, Map.of()));
      until("a third member", () -> members.stream().noneMatch(member -> member.assigned.isEmpty()));
      for (Member member : members) check("lost", member.lost, 0);
    } finally {
      for (Member member : members) member.close();
    }
  }

  private void migrates() throws Exception {
    String topic = topic("migrates", 4);
    String group = "group-of-" + topic;
    Set<String> seen = ConcurrentHashMap.newKeySet();
    Map<String, Object> classic = Map.of("group.protocol", "classic", "heartbeat.interval.ms", 200);
    Member old = new Member(group, Set.of(topic), seen, classic);
    Member other = new Member(group, Set.of(topic), seen, classic);
    Member modern = null;
    try {
      until("two partitions each", () -> old.assigned.size() == 2 && other.assigned.size() == 2);
      check("type", describe(group).type(), GroupType.CLASSIC);
      modern = new Member(group, Set.of(topic), seen, Map.of());
      Member joined = modern;
      until("all three", () -> union(List.of(old, other, joined)).size() == 4 && !joined.assigned.isEmpty()
          && old.assigned.size() + other.assigned.size() + joined.assigned.size() == 4);
      ConsumerGroupDescription described = describe(group);
      check("type", described.type(), GroupType.CONSUMER);
      check("speak the classic protocol",
          described.members().stream().filter(member -> member.upgraded().equals(java.util.Optional.of(false))).count(), 2L);
      produce(topic, 4, 0, 100);
      until("100 records", () -> seen.size() == 100);
      modern.close();
      until("two partitions each, again", () -> old.assigned.size() == 2 && other.assigned.size() == 2);
      until("a classic group", () -> describe(group).type() == GroupType.CLASSIC);
      produce(topic, 4, 100, 100);
      until("200 records", () -> seen.size() == 200);
    } finally {
      old.close();
      other.close();
      if (modern != null) modern.close();
    }
  }

  private void refused() throws Exception {
    String topic = topic("refused", 1);
    Member strange = new Member("group-of-" + topic, Set.of(topic), new HashSet<>(), Map.of("group.remote.assignor", "strange"));
    until("a refusal", () -> strange.failure != null);
    strange.close();
    check("assignor", strange.failure.getClass(), UnsupportedAssignorException.class);
    Member broken = new Member("group-of-" + topic, new SubscriptionPattern("(unclosed"));
    until("a refusal", () -> broken.failure != null);
    broken.close();
    check("expression", broken.failure.getClass(), InvalidRegularExpression.class);
  }

  private void configs() throws Exception {
    ConfigResource group = new ConfigResource(ConfigResource.Type.GROUP, "configured-" + unique());
    alter(group, "consumer.session.timeout.ms", "50000");
    ConfigEntry entry = admin.describeConfigs(List.of(group)).all().get().get(group).get("consumer.session.timeout.ms");
    check("value", entry.value(), "50000");
    check("source", entry.source(), ConfigEntry.ConfigSource.DYNAMIC_GROUP_CONFIG);
    check("listed", admin.listConfigResources(Set.of(ConfigResource.Type.GROUP), new org.apache.kafka.clients.admin.ListConfigResourcesOptions())
        .all().get().contains(group), true);
    try {
      alter(group, "consumer.session.timeout.ms", "1");
      throw new AssertionError("a session of 1 ms was taken");
    } catch (ExecutionException refused) {
      check("refusal", refused.getCause().getClass(), InvalidConfigurationException.class);
    }
  }

  // ---- members

  /** A consumer that polls in a thread of its own, commits what it got, and remembers what happened to it. */
  private final class Member implements ConsumerRebalanceListener {
    final KafkaConsumer<String, String> consumer;
    final Set<String> seen;
    final ConcurrentLinkedQueue<String> got = new ConcurrentLinkedQueue<>();
    final Thread thread;
    volatile Set<TopicPartition> assigned = Set.of();
    volatile int rebalances = 0;
    volatile int lost = 0;
    volatile Throwable failure = null;
    volatile boolean closing = false;

    Member(String group, Collection<String> topics, Set<String> seen, Map<String, Object> configs) {
      this.seen = seen;
      this.consumer = consumer(group, configs);
      consumer.subscribe(topics, this);
      this.thread = start();
    }

    Member(String group, SubscriptionPattern pattern) {
      this.seen = new HashSet<>();
      this.consumer = consumer(group, Map.of());
      consumer.subscribe(pattern, this);
      this.thread = start();
    }

    private Thread start() {
      Thread started = new Thread(this::poll);
      started.start();
      return started;
    }

    private void poll() {
      try {
        while (!closing) {
          consumer.poll(Duration.ofMillis(100)).forEach(record -> {
            got.add(record.value());
            seen.add(record.value());
          });
          assigned = Set.copyOf(consumer.assignment());
          if (!assigned.isEmpty()) consumer.commitAsync();
        }
      } catch (Throwable thrown) {
        failure = thrown;
      } finally {
        consumer.close(CloseOptions.timeout(Duration.ofSeconds(10)));
      }
    }

    Set<Integer> partitionsOf(String topic) {
      return assigned.stream().filter(one -> one.topic().equals(topic)).map(TopicPartition::partition)
          .collect(Collectors.toCollection(TreeSet::new));
    }

    void close() throws InterruptedException {
      closing = true;
      thread.join();
    }

    @Override
    public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
      rebalances++;
    }

    @Override
    public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
      if (!closing) rebalances++;
    }

    @Override
    public void onPartitionsLost(Collection<TopicPartition> partitions) {
      lost++;
    }
  }

  private KafkaConsumer<String, String> consumer(String group, Map<String, Object> configs) {
    Map<String, Object> all = new HashMap<>();
    all.put("bootstrap.servers", address);
    all.put("group.id", group);
    all.put("group.protocol", "consumer");
    all.put("auto.offset.reset", "earliest");
    all.put("enable.auto.commit", false);
    all.put("key.deserializer", StringDeserializer.class);
    all.put("value.deserializer", StringDeserializer.class);
    all.putAll(configs);
    return new KafkaConsumer<>(all);
  }

  private static Set<TopicPartition> union(List<Member> members) {
    return members.stream().flatMap(member -> member.assigned.stream()).collect(Collectors.toSet());
  }

  private static int duplicates(List<Member> members) {
    List<String> all = members.stream().flatMap(member -> member.got.stream()).toList();
    return all.size() - new HashSet<>(all).size();
  }

  // ---- the broker

  private ConsumerGroupDescription describe(String group) throws Exception {
    return admin.describeConsumerGroups(List.of(group)).describedGroups().get(group).get();
  }

  private Map<String, Integer> epochs(String group) throws Exception {
    return describe(group).members().stream()
        .collect(Collectors.toMap(MemberDescription::consumerId, member -> member.memberEpoch().get(), (a, b) -> a, TreeMap::new));
  }

  private void alter(ConfigResource resource, String name, String value) throws Exception {
    AlterConfigOp op = new AlterConfigOp(new ConfigEntry(name, value), AlterConfigOp.OpType.SET);
    admin.incrementalAlterConfigs(Map.of(resource, List.of(op))).all().get();
  }

  private String topic(String purpose, int partitions) throws Exception {
    String name = purpose + "-" + unique();
    admin.createTopics(List.of(new NewTopic(name, partitions, (short) 1))).all().get();
    return name;
  }

  private static String unique() {
    return Long.toString(System.nanoTime(), 36);
  }

  private void produce(String topic, int partitions, int from, int count) throws Exception {
    Map<String, Object> configs = Map.of("bootstrap.servers", address,
        "key.serializer", StringSerializer.class, "value.serializer", StringSerializer.class);
    try (KafkaProducer<String, String> producer = new KafkaProducer<>(configs)) {
      for (int i = from; i < from + count; i++) {
        producer.send(new ProducerRecord<>(topic, i % partitions, null, topic + "/" + i)).get();
      }
    }
  }

  // ---- checks

  private static void until(String what, Condition condition) throws Exception {
    long deadline = System.nanoTime() + TIMEOUT_MS * 1_000_000;
    while (!condition.holds()) {
      if (System.nanoTime() > deadline) throw new AssertionError("not within " + TIMEOUT_MS + " ms: " + what);
      Thread.sleep(50);
    }
  }

  private static void check(String what, Object actual, Object expected) {
    if (!expected.equals(actual)) throw new AssertionError(what + ": " + actual + ", and not " + expected);
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
