import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.UUID;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.consumer.CloseOptions;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.ElectionType;
import org.apache.kafka.common.Node;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.acl.AclBindingFilter;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.ElectionNotNeededException;
import org.apache.kafka.common.errors.RecordTooLargeException;
import org.apache.kafka.common.errors.SecurityDisabledException;
import org.apache.kafka.common.errors.TopicExistsException;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/** The Java clients against the broker at the address that is the only argument; one line of JSON per case. */
public class JavaClientCases {
  private static final int BIG_BYTES = 1024 * 1024 - 200;
  private static final int TOO_LARGE_BYTES = 1024 * 1024 + 200;
  private static final long[] TIMES_MS = {1_700_000_000_000L, 1_700_000_001_000L, 1_700_000_002_000L};
  private static final String HOUR_MS = "3600000";

  private interface Case {
    void run() throws Exception;
  }

  private interface Condition {
    boolean holds() throws Exception;
  }

  private final String address;
  private final Admin admin;

  private JavaClientCases(String address) {
    this.address = address;
    this.admin = Admin.create(Map.of("bootstrap.servers", address));
  }

  public static void main(String[] args) {
    JavaClientCases cases = new JavaClientCases(args[0]);
    cases.all().forEach(JavaClientCases::report);
    cases.admin.close(Duration.ofSeconds(5));
  }

  private Map<String, Case> all() {
    Map<String, Case> all = new LinkedHashMap<>();
    for (String codec : List.of("none", "gzip", "snappy", "lz4", "zstd")) all.put("codec-" + codec, () -> codec(codec));
    all.put("idempotent", this::idempotent);
    all.put("acks", this::acks);
    all.put("headers", this::headers);
    all.put("nulls", this::nulls);
    all.put("big-message", this::bigMessage);
    all.put("too-large", this::tooLarge);
    all.put("partitions", this::partitions);
    all.put("auto-create", this::autoCreate);
    all.put("seek-beginning", this::seekBeginning);
    all.put("seek-end", this::seekEnd);
    all.put("seek-timestamp", this::seekTimestamp);
    all.put("long-poll", this::longPoll);
    all.put("create-topic", this::createTopic);
    all.put("describe-topic", this::describeTopic);
    all.put("list-topics", this::listTopics);
    all.put("create-partitions", this::createPartitions);
    all.put("delete-topic", this::deleteTopic);
    all.put("delete-records", this::deleteRecords);
    all.put("describe-configs", this::describeConfigs);
    all.put("incremental-alter-configs", this::incrementalAlterConfigs);
    all.put("describe-cluster", this::describeCluster);
    all.put("list-offsets", this::listOffsets);
    all.put("topic-ids", this::topicIds);
    all.put("log-append-time", this::logAppendTime);
    all.put("log-dirs", this::logDirs);
    all.put("producers", this::producers);
    all.put("features", this::features);
    all.put("quorum", this::quorum);
    all.put("elections", this::elections);
    all.put("reassignments", this::reassignments);
    all.put("acls", this::acls);
    all.put("config-resources", this::configResources);
    return all;
  }

  // Producing and fetching

  private void codec(String codec) throws Exception {
    String topic = topic("codec-" + codec, 1, Map.of());
    List<ProducerRecord<byte[], byte[]>> sent = IntStream.range(0, 200)
        .mapToObj(i -> record(topic, bytes("key-" + i), bytes(("value-" + i + " ").repeat(20))))
        .collect(Collectors.toList());
    produce(sent, Map.of("compression.type", codec, "linger.ms", 50));
    List<ConsumerRecord<byte[], byte[]>> read = read(topic, sent.size());
    for (int i = 0; i < sent.size(); i++) {
      check("key", text(read.get(i).key()), text(sent.get(i).key()));
      check("value", text(read.get(i).value()), text(sent.get(i).value()));
      check("offset", read.get(i).offset(), (long) i);
    }
  }

  private void idempotent() throws Exception {
    String topic = topic("idempotent", 1, Map.of());
    List<ProducerRecord<byte[], byte[]>> sent =
        IntStream.range(0, 2000).mapToObj(i -> record(topic, null, bytes("" + i))).collect(Collectors.toList());
    produce(sent, Map.of("enable.idempotence", true, "batch.size", 300, "linger.ms", 0));
    List<ConsumerRecord<byte[], byte[]>> read = read(topic, sent.size());
    for (int i = 0; i < sent.size(); i++) check("value", text(read.get(i).value()), "" + i);
  }

  private void acks() throws Exception {
    String topic = topic("acks", 1, Map.of());
    produce(List.of(record(topic, null, bytes("none"))), Map.of("acks", "0", "enable.idempotence", false));
    until("the record without an answer", () -> offset(topic, OffsetSpec.latest()) == 1);
    produce(List.of(record(topic, null, bytes("one"))), Map.of("acks", "1", "enable.idempotence", false));
    check("last", text(read(topic, 2).get(1).value()), "one");
  }

  private void headers() throws Exception {
    String topic = topic("headers", 1, Map.of());
    ProducerRecord<byte[], byte[]> sent = record(topic, null, bytes("v"));
    List<Header> headers = List.of(new RecordHeader("one", bytes("first")), new RecordHeader("one", bytes("again")),
        new RecordHeader("empty", new byte[0]), new RecordHeader("null", (byte[]) null));
    headers.forEach(sent.headers()::add);
    produce(List.of(sent), Map.of());
    check("headers", Arrays.asList(read(topic, 1).get(0).headers().toArray()), headers);
  }

  private void nulls() throws Exception {
    String topic = topic("nulls", 1, Map.of());
    List<ProducerRecord<byte[], byte[]>> sent = List.of(
        record(topic, null, bytes("no key")), record(topic, bytes("no value"), null), record(topic, bytes(""), bytes("")));
    produce(sent, Map.of());
    List<ConsumerRecord<byte[], byte[]>> read = read(topic, 3);
    for (int i = 0; i < 3; i++) {
      check("key", Arrays.toString(read.get(i).key()), Arrays.toString(sent.get(i).key()));
      check("value", Arrays.toString(read.get(i).value()), Arrays.toString(sent.get(i).value()));
    }
  }

  private void bigMessage() throws Exception {
    String topic = topic("big", 1, Map.of());
    produce(List.of(record(topic, null, new byte[BIG_BYTES])), Map.of("max.request.size", 2_000_000));
    check("size", read(topic, 1).get(0).value().length, BIG_BYTES);
  }

  private void tooLarge() throws Exception {
    String topic = topic("too-large", 1, Map.of());
    expect(RecordTooLargeException.class,
        () -> produce(List.of(record(topic, null, new byte[TOO_LARGE_BYTES])), Map.of("max.request.size", 2_000_000)));
  }

  private void partitions() throws Exception {
    String topic = topic("partitions", 40, Map.of());
    produce(IntStream.range(0, 400).mapToObj(i -> new ProducerRecord<byte[], byte[]>(topic, i % 40, null, bytes("" + i)))
        .collect(Collectors.toList()), Map.of());
    Map<Integer, List<String>> found = new TreeMap<>();
    for (ConsumerRecord<byte[], byte[]> record : readFrom(all(topic, 40), 400, Map.of())) {
      found.computeIfAbsent(record.partition(), p -> new ArrayList<>()).add(text(record.value()));
    }
    for (int p = 0; p < 40; p++) {
      int first = p;
      check("partition " + p, found.get(p), IntStream.range(0, 10).mapToObj(i -> "" + (first + 40 * i)).collect(Collectors.toList()));
    }
  }

  private void autoCreate() throws Exception {
    String topic = unique("auto");
    produce(List.of(new ProducerRecord<>(topic, bytes("v"))), Map.of());
    check("value", text(read(topic, 1).get(0).value()), "v");
  }

  private void seekBeginning() throws Exception {
    String topic = written("a", "b");
    try (KafkaConsumer<byte[], byte[]> consumer = consumer(all(topic, 1), Map.of())) {
      take(consumer, 2, 20);
      consumer.seekToBeginning(consumer.assignment());
      check("first", text(take(consumer, 2, 20).get(0).value()), "a");
    }
  }

  private void seekEnd() throws Exception {
    String topic = written("old");
    try (KafkaConsumer<byte[], byte[]> consumer = consumer(all(topic, 1), Map.of())) {
      consumer.seekToEnd(consumer.assignment());
      check("position", consumer.position(new TopicPartition(topic, 0)), 1L);
      produce(List.of(record(topic, null, bytes("new"))), Map.of());
      check("value", text(take(consumer, 1, 20).get(0).value()), "new");
    }
  }

  private void seekTimestamp() throws Exception {
    String topic = timed();
    TopicPartition partition = new TopicPartition(topic, 0);
    try (KafkaConsumer<byte[], byte[]> consumer = consumer(List.of(partition), Map.of())) {
      var found = consumer.offsetsForTimes(Map.of(partition, TIMES_MS[1] - 500)).get(partition);
      check("found", List.of(found.offset(), found.timestamp()), List.of(1L, TIMES_MS[1]));
      consumer.seek(partition, found.offset());
      check("time", take(consumer, 2, 20).get(0).timestamp(), TIMES_MS[1]);
      check("behind", consumer.offsetsForTimes(Map.of(partition, TIMES_MS[2] + 1)).get(partition), null);
    }
  }

  private void longPoll() throws Exception {
    String topic = written("old");
    Map<String, Object> settings = Map.of("fetch.max.wait.ms", 60_000, "request.timeout.ms", 90_000);
    KafkaConsumer<byte[], byte[]> consumer = consumer(all(topic, 1), settings);
    consumer.seek(new TopicPartition(topic, 0), 1);
    check("before", consumer.poll(Duration.ofMillis(500)).count(), 0);
    produce(List.of(record(topic, null, bytes("new"))), Map.of());
    check("value", text(take(consumer, 1, 15).get(0).value()), "new");
    // Closing would wait for the fetch that is under way.
    consumer.close(CloseOptions.timeout(Duration.ZERO));
  }

  // Topics

  private void createTopic() throws Exception {
    String topic = topic("admin", 3, Map.of());
    expect(TopicExistsException.class, () -> admin.createTopics(List.of(new NewTopic(topic, 1, (short) 1))).all().get());
    var created = admin.createTopics(List.of(new NewTopic(unique("defaults"), Optional.empty(), Optional.empty())));
    created.all().get();
  }

  private void describeTopic() throws Exception {
    String topic = topic("admin", 3, Map.of());
    var described = admin.describeTopics(List.of(topic)).allTopicNames().get().get(topic);
    check("replicas", described.partitions().stream().map(p -> List.of(p.partition(), p.replicas().size(), p.isr().size()))
        .collect(Collectors.toList()), List.of(List.of(0, 1, 1), List.of(1, 1, 1), List.of(2, 1, 1)));
    expect(UnknownTopicOrPartitionException.class, () -> admin.describeTopics(List.of(unique("nowhere"))).allTopicNames().get());
  }

  private void listTopics() throws Exception {
    String topic = topic("admin", 1, Map.of());
    check("listed", admin.listTopics().names().get().contains(topic), true);
  }

  private void createPartitions() throws Exception {
    String topic = topic("grow", 1, Map.of());
    admin.createPartitions(Map.of(topic, NewPartitions.increaseTo(4))).all().get();
    until("the partitions", () -> partitionCount(topic) == 4);
  }

  private void deleteTopic() throws Exception {
    String topic = topic("gone", 1, Map.of());
    admin.deleteTopics(List.of(topic)).all().get();
    until("its end", () -> !admin.listTopics().names().get().contains(topic));
    expect(UnknownTopicOrPartitionException.class, () -> admin.deleteTopics(List.of(topic)).all().get());
  }

  private void deleteRecords() throws Exception {
    String topic = written("0", "1", "2", "3", "4", "5");
    TopicPartition partition = new TopicPartition(topic, 0);
    var deleted = admin.deleteRecords(Map.of(partition, RecordsToDelete.beforeOffset(4)));
    check("low watermark", deleted.lowWatermarks().get(partition).get().lowWatermark(), 4L);
    check("first", read(topic, 2).get(0).offset(), 4L);
  }

  private void topicIds() throws Exception {
    String topic = topic("ids", 1, Map.of());
    var id = admin.describeTopics(List.of(topic)).allTopicNames().get().get(topic).topicId();
    var ids = org.apache.kafka.common.TopicCollection.ofTopicIds(List.of(id));
    check("name", admin.describeTopics(ids).allTopicIds().get().get(id).name(), topic);
    admin.deleteTopics(ids).all().get();
  }

  private void logAppendTime() throws Exception {
    String topic = topic("append-time", 1, Map.of("message.timestamp.type", "LogAppendTime"));
    RecordMetadata answer = produce(List.of(new ProducerRecord<>(topic, 0, TIMES_MS[0], null, bytes("v"))), Map.of()).get(0);
    check("the time of the broker", answer.timestamp() > TIMES_MS[2], true);
    check("the same when read", read(topic, 1).get(0).timestamp(), answer.timestamp());
  }

  // Configs

  private void describeConfigs() throws Exception {
    var configs = configs(topic("configs", 1, Map.of("retention.ms", HOUR_MS)));
    check("retention", describe(configs.get("retention.ms")), HOUR_MS + " DYNAMIC_TOPIC_CONFIG LONG");
    check("policy", describe(configs.get("cleanup.policy")), "delete DEFAULT_CONFIG LIST");
  }

  private static String describe(ConfigEntry entry) {
    return entry.value() + " " + entry.source() + " " + entry.type();
  }

  private void incrementalAlterConfigs() throws Exception {
    String topic = topic("configs", 1, Map.of("retention.ms", HOUR_MS));
    ConfigResource resource = new ConfigResource(ConfigResource.Type.TOPIC, topic);
    Collection<AlterConfigOp> changes = List.of(
        new AlterConfigOp(new ConfigEntry("cleanup.policy", "compact"), AlterConfigOp.OpType.APPEND),
        new AlterConfigOp(new ConfigEntry("max.message.bytes", "2000"), AlterConfigOp.OpType.SET),
        new AlterConfigOp(new ConfigEntry("retention.ms", null), AlterConfigOp.OpType.DELETE));
    admin.incrementalAlterConfigs(Map.of(resource, changes)).all().get();
    until("the changes", () -> {
      var configs = configs(topic);
      return configs.get("cleanup.policy").value().equals("delete,compact") && configs.get("max.message.bytes").value().equals("2000")
          && configs.get("retention.ms").value().equals("604800000");
    });
  }

  private Map<String, ConfigEntry> configs(String topic) throws Exception {
    ConfigResource resource = new ConfigResource(ConfigResource.Type.TOPIC, topic);
    return admin.describeConfigs(List.of(resource)).all().get().get(resource).entries().stream()
        .collect(Collectors.toMap(ConfigEntry::name, entry -> entry));
  }

  private void configResources() throws Exception {
    String topic = topic("configs", 1, Map.of());
    var found = admin.listConfigResources(Set.of(ConfigResource.Type.TOPIC), new org.apache.kafka.clients.admin.ListConfigResourcesOptions());
    check("listed", found.all().get().contains(new ConfigResource(ConfigResource.Type.TOPIC, topic)), true);
  }

  // The cluster

  private void describeCluster() throws Exception {
    var cluster = admin.describeCluster();
    check("nodes", cluster.nodes().get().stream().map(node -> node.host() + ":" + node.port()).collect(Collectors.toList()),
        List.of(address));
    check("controller", cluster.controller().get().id(), cluster.nodes().get().iterator().next().id());
    check("has an id", cluster.clusterId().get().isEmpty(), false);
  }

  private void listOffsets() throws Exception {
    String topic = timed();
    check("first", offset(topic, OffsetSpec.earliest()), 0L);
    check("end", offset(topic, OffsetSpec.latest()), 3L);
    check("youngest", offset(topic, OffsetSpec.maxTimestamp()), 2L);
    check("by time", offset(topic, OffsetSpec.forTimestamp(TIMES_MS[1])), 1L);
    check("local", offset(topic, OffsetSpec.earliestLocal()), 0L);
    check("tiered", offset(topic, OffsetSpec.latestTiered()), -1L);
  }

  private void logDirs() throws Exception {
    String topic = written("v");
    int id = onlyNode().id();
    var directories = admin.describeLogDirs(List.of(id)).allDescriptions().get().get(id).values();
    var replica = directories.stream().flatMap(directory -> directory.replicaInfos().entrySet().stream())
        .filter(entry -> entry.getKey().topic().equals(topic)).findFirst().orElseThrow().getValue();
    check("has bytes", replica.size() > 0, true);
  }

  private void producers() throws Exception {
    String topic = written("a", "b", "c");
    TopicPartition partition = new TopicPartition(topic, 0);
    var active = admin.describeProducers(List.of(partition)).all().get().get(partition).activeProducers();
    check("sequences", active.stream().map(producer -> producer.lastSequence()).collect(Collectors.toList()), List.of(2));
  }

  private void features() throws Exception {
    var features = admin.describeFeatures().featureMetadata().get();
    check("has a release", features.finalizedFeatures().containsKey("metadata.version"), true);
  }

  private void quorum() throws Exception {
    var quorum = admin.describeMetadataQuorum().quorumInfo().get();
    check("leader", quorum.leaderId(), onlyNode().id());
    check("voters", quorum.voters().size(), 1);
  }

  private void elections() throws Exception {
    TopicPartition partition = new TopicPartition(topic("election", 1, Map.of()), 0);
    var results = admin.electLeaders(ElectionType.PREFERRED, Set.of(partition)).partitions().get();
    check("error", results.get(partition).orElseThrow().getClass(), ElectionNotNeededException.class);
  }

  private void reassignments() throws Exception {
    TopicPartition partition = new TopicPartition(topic("reassignment", 1, Map.of()), 0);
    check("under way", admin.listPartitionReassignments().reassignments().get().size(), 0);
    var here = new org.apache.kafka.clients.admin.NewPartitionReassignment(List.of(onlyNode().id()));
    admin.alterPartitionReassignments(Map.of(partition, Optional.of(here))).all().get();
  }

  private void acls() throws Exception {
    expect(SecurityDisabledException.class, () -> admin.describeAcls(AclBindingFilter.ANY).values().get());
  }

  // What the cases are made of

  private String topic(String purpose, int partitions, Map<String, String> configs) throws Exception {
    String topic = unique(purpose);
    admin.createTopics(List.of(new NewTopic(topic, partitions, (short) 1).configs(configs))).all().get();
    until("the topic", () -> partitionCount(topic) == partitions);
    return topic;
  }

  private int partitionCount(String topic) throws Exception {
    try {
      var described = admin.describeTopics(List.of(topic)).allTopicNames().get().get(topic);
      return described.partitions().stream().allMatch(p -> p.leader() != null) ? described.partitions().size() : 0;
    } catch (ExecutionException notYet) {
      return 0;
    }
  }

  private String written(String... values) throws Exception {
    String topic = topic("written", 1, Map.of());
    produce(Arrays.stream(values).map(value -> record(topic, null, bytes(value))).collect(Collectors.toList()), Map.of());
    return topic;
  }

  private String timed() throws Exception {
    String topic = topic("times", 1, Map.of());
    produce(Arrays.stream(TIMES_MS).mapToObj(time -> new ProducerRecord<byte[], byte[]>(topic, 0, time, null, bytes("v")))
        .collect(Collectors.toList()), Map.of());
    return topic;
  }

  private List<RecordMetadata> produce(List<ProducerRecord<byte[], byte[]>> records, Map<String, Object> settings) throws Exception {
    Map<String, Object> config = new HashMap<>(settings);
    config.put("bootstrap.servers", address);
    List<RecordMetadata> answers = new ArrayList<>();
    try (var producer = new KafkaProducer<>(config, new ByteArraySerializer(), new ByteArraySerializer())) {
      List<Future<RecordMetadata>> sent = records.stream().map(producer::send).collect(Collectors.toList());
      producer.flush();
      for (Future<RecordMetadata> answer : sent) answers.add(answer.get());
    }
    return answers;
  }

  private KafkaConsumer<byte[], byte[]> consumer(List<TopicPartition> partitions, Map<String, Object> settings) {
    Map<String, Object> config = new HashMap<>(settings);
    config.put("bootstrap.servers", address);
    var consumer = new KafkaConsumer<>(config, new ByteArrayDeserializer(), new ByteArrayDeserializer());
    consumer.assign(partitions);
    consumer.seekToBeginning(partitions);
    return consumer;
  }

  private List<ConsumerRecord<byte[], byte[]>> read(String topic, int count) {
    return readFrom(all(topic, 1), count, Map.of());
  }

  private List<ConsumerRecord<byte[], byte[]>> readFrom(List<TopicPartition> partitions, int count, Map<String, Object> settings) {
    try (KafkaConsumer<byte[], byte[]> consumer = consumer(partitions, settings)) {
      return take(consumer, count, 20);
    }
  }

  private static List<ConsumerRecord<byte[], byte[]>> take(KafkaConsumer<byte[], byte[]> consumer, int count, int seconds) {
    List<ConsumerRecord<byte[], byte[]>> records = new ArrayList<>();
    long end = System.nanoTime() + seconds * 1_000_000_000L;
    while (records.size() < count && System.nanoTime() < end) consumer.poll(Duration.ofMillis(200)).forEach(records::add);
    check("records read", records.size(), count);
    return records;
  }

  private static List<TopicPartition> all(String topic, int count) {
    return IntStream.range(0, count).mapToObj(i -> new TopicPartition(topic, i)).collect(Collectors.toList());
  }

  private long offset(String topic, OffsetSpec spec) throws Exception {
    TopicPartition partition = new TopicPartition(topic, 0);
    return admin.listOffsets(Map.of(partition, spec)).partitionResult(partition).get().offset();
  }

  private Node onlyNode() throws Exception {
    return admin.describeCluster().nodes().get().iterator().next();
  }

  private static ProducerRecord<byte[], byte[]> record(String topic, byte[] key, byte[] value) {
    return new ProducerRecord<>(topic, 0, key, value);
  }

  private static byte[] bytes(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }

  private static String text(byte[] bytes) {
    return new String(bytes, StandardCharsets.UTF_8);
  }

  private static String unique(String purpose) {
    return purpose + "-" + UUID.randomUUID().toString().substring(0, 13);
  }

  private static void check(String what, Object actual, Object expected) {
    if (!java.util.Objects.equals(actual, expected)) throw new AssertionError(what + ": " + actual + " instead of " + expected);
  }

  private static void expect(Class<? extends Exception> expected, Case run) throws Exception {
    try {
      run.run();
    } catch (ExecutionException thrown) {
      check("error", thrown.getCause().getClass(), expected);
      return;
    }
    throw new AssertionError("no " + expected.getSimpleName());
  }

  /** A change may be visible a moment after its answer: Kafka's broker follows its controller. */
  private static void until(String what, Condition condition) throws Exception {
    long end = System.nanoTime() + 20_000_000_000L;
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
