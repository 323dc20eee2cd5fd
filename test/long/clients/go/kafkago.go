package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/segmentio/kafka-go"
)

// kafkaGo speaks old versions, hard-coded: it shows that they are served.
type kafkaGo struct {
	address string
	client  *kafka.Client
}

func kafkaGoCases(address string) cases {
	k := &kafkaGo{address, &kafka.Client{Addr: kafka.TCP(address), Timeout: readTimeout}}
	return cases{
		"codec-none":                k.codec(0),
		"codec-gzip":                k.codec(kafka.Gzip),
		"codec-snappy":              k.codec(kafka.Snappy),
		"codec-lz4":                 k.codec(kafka.Lz4),
		"codec-zstd":                k.codec(kafka.Zstd),
		"acks":                      k.acks,
		"headers":                   k.headers,
		"nulls":                     k.nulls,
		"big-message":               k.bigMessage,
		"too-large":                 k.tooLarge,
		"partitions":                k.partitions,
		"auto-create":               k.autoCreate,
		"seek-beginning":            k.seekBeginning,
		"seek-end":                  k.seekEnd,
		"seek-timestamp":            k.seekTimestamp,
		"long-poll":                 k.longPoll,
		"create-topic":              k.createTopic,
		"describe-topic":            k.describeTopic,
		"list-topics":               k.listTopics,
		"create-partitions":         k.createPartitions,
		"delete-topic":              k.deleteTopic,
		"describe-configs":          k.describeConfigs,
		"alter-configs":             k.alterConfigs,
		"incremental-alter-configs": k.incrementalAlterConfigs,
		"describe-cluster":          k.describeCluster,
		"list-offsets":              k.listOffsets,
		"connection":                k.connection,
	}
}

func (k *kafkaGo) topic(purpose string, partitions int, configs ...kafka.ConfigEntry) string {
	topic := unique(purpose)
	must(k.create(topic, partitions, configs))
	until("the topic", func() bool { return k.partitionCount(topic) == partitions })
	return topic
}

func (k *kafkaGo) create(topic string, partitions int, configs []kafka.ConfigEntry) error {
	answer, err := k.client.CreateTopics(context.Background(), &kafka.CreateTopicsRequest{
		Topics: []kafka.TopicConfig{{Topic: topic, NumPartitions: partitions, ReplicationFactor: 1, ConfigEntries: configs}},
	})
	must(err)
	return answer.Errors[topic]
}

func (k *kafkaGo) metadata(topics ...string) *kafka.MetadataResponse {
	answer, err := k.client.Metadata(context.Background(), &kafka.MetadataRequest{Topics: topics})
	must(err)
	return answer
}

func (k *kafkaGo) partitionCount(topic string) int {
	described := k.metadata(topic).Topics[0]
	if described.Error != nil {
		return 0
	}
	for _, partition := range described.Partitions {
		if partition.Error != nil {
			return 0
		}
	}
	return len(described.Partitions)
}

// toPartition sends each message where its high watermark says: the writer has no other place for it.
var toPartition = kafka.BalancerFunc(func(message kafka.Message, _ ...int) int { return int(message.HighWaterMark) })

func (k *kafkaGo) produce(topic string, messages []kafka.Message, adjust ...func(*kafka.Writer)) error {
	writer := &kafka.Writer{
		Addr: kafka.TCP(k.address), Topic: topic, Balancer: toPartition, BatchBytes: 2_000_000,
		BatchTimeout: 5 * time.Millisecond, RequiredAcks: kafka.RequireAll,
	}
	for _, change := range adjust {
		change(writer)
	}
	err := writer.WriteMessages(context.Background(), messages...)
	must(writer.Close())
	return err
}

func (k *kafkaGo) values(topic string, values ...string) {
	var messages []kafka.Message
	for _, value := range values {
		messages = append(messages, kafka.Message{Value: []byte(value)})
	}
	must(k.produce(topic, messages))
}

func (k *kafkaGo) reader(topic string, partition int, offset int64, maxWait time.Duration) *kafka.Reader {
	reader := kafka.NewReader(kafka.ReaderConfig{Brokers: []string{k.address}, Topic: topic, Partition: partition, MaxWait: maxWait, MaxBytes: 10_000_000})
	must(reader.SetOffset(offset))
	return reader
}

func next(reader *kafka.Reader, count int) []kafka.Message {
	ctx, cancel := context.WithTimeout(context.Background(), wakeTimeout)
	defer cancel()
	var messages []kafka.Message
	for len(messages) < count {
		message, err := reader.ReadMessage(ctx)
		must(err)
		messages = append(messages, message)
	}
	return messages
}

func (k *kafkaGo) read(topic string, partition int, count int) []kafka.Message {
	reader := k.reader(topic, partition, kafka.FirstOffset, 100*time.Millisecond)
	defer reader.Close()
	return next(reader, count)
}

func (k *kafkaGo) codec(codec kafka.Compression) func() {
	return func() {
		topic := k.topic("codec", 1)
		sent := numbered(200)
		var messages []kafka.Message
		for _, record := range sent {
			messages = append(messages, kafka.Message{Key: record.key, Value: record.value})
		}
		must(k.produce(topic, messages, func(writer *kafka.Writer) { writer.Compression = codec }))
		for i, message := range k.read(topic, 0, len(sent)) {
			check("key", string(message.Key), string(sent[i].key))
			check("value", string(message.Value), string(sent[i].value))
			check("offset", message.Offset, int64(i))
		}
	}
}

func (k *kafkaGo) acks() {
	topic := k.topic("acks", 1)
	for i, acks := range []kafka.RequiredAcks{kafka.RequireNone, kafka.RequireOne} {
		must(k.produce(topic, []kafka.Message{{Value: []byte(acks.String())}}, func(writer *kafka.Writer) { writer.RequiredAcks = acks }))
		until("the record", func() bool { return k.offset(topic, kafka.LastOffsetOf(0)) == int64(i+1) })
	}
	check("last", string(k.read(topic, 0, 2)[1].Value), kafka.RequireOne.String())
}

func (k *kafkaGo) offset(topic string, request kafka.OffsetRequest) int64 {
	answer, err := k.client.ListOffsets(context.Background(), &kafka.ListOffsetsRequest{Topics: map[string][]kafka.OffsetRequest{topic: {request}}})
	must(err)
	found := answer.Topics[topic][0]
	must(found.Error)
	switch request.Timestamp {
	case kafka.FirstOffset:
		return found.FirstOffset
	case kafka.LastOffset:
		return found.LastOffset
	}
	for offset := range found.Offsets {
		return offset
	}
	return -1
}

func (k *kafkaGo) headers() {
	topic := k.topic("headers", 1)
	headers := []kafka.Header{{Key: "one", Value: []byte("first")}, {Key: "one", Value: []byte("again")}, {Key: "empty", Value: []byte{}}}
	must(k.produce(topic, []kafka.Message{{Value: []byte("v"), Headers: headers}}))
	for i, header := range k.read(topic, 0, 1)[0].Headers {
		check("header", header.Key+"="+string(header.Value), headers[i].Key+"="+string(headers[i].Value))
	}
}

func (k *kafkaGo) nulls() {
	topic := k.topic("nulls", 1)
	must(k.produce(topic, []kafka.Message{{Value: []byte("no key")}, {Key: []byte("no value")}, {Key: []byte{}, Value: []byte{}}}))
	messages := k.read(topic, 0, 3)
	check("null key", messages[0].Key == nil && string(messages[0].Value) == "no key", true)
	check("null value", messages[1].Value == nil && string(messages[1].Key) == "no value", true)
	// It reads nil for what is empty as well.
	check("empty", len(messages[2].Key)+len(messages[2].Value), 0)
}

func (k *kafkaGo) bigMessage() {
	topic := k.topic("big", 1)
	must(k.produce(topic, []kafka.Message{{Value: make([]byte, bigBytes)}}))
	check("size", len(k.read(topic, 0, 1)[0].Value), bigBytes)
}

func (k *kafkaGo) tooLarge() {
	topic := k.topic("too-large", 1)
	err := k.produce(topic, []kafka.Message{{Value: make([]byte, tooLargeBytes)}}, func(writer *kafka.Writer) { writer.MaxAttempts = 1 })
	var failures kafka.WriteErrors
	check("is refused", errors.As(err, &failures), true)
	check("error", errors.Is(failures[0], kafka.MessageSizeTooLarge), true)
}

func (k *kafkaGo) partitions() {
	topic := k.topic("partitions", 20)
	var messages []kafka.Message
	for i := range 200 {
		messages = append(messages, kafka.Message{HighWaterMark: int64(i % 20), Value: []byte(fmt.Sprint(i))})
	}
	must(k.produce(topic, messages))
	for partition := range 20 {
		for i, message := range k.read(topic, partition, 10) {
			check("value", string(message.Value), fmt.Sprint(partition+20*i))
		}
	}
}

func (k *kafkaGo) autoCreate() {
	topic := unique("auto")
	allow := func(writer *kafka.Writer) { writer.AllowAutoTopicCreation = true }
	// Where the broker does not create the topic at once, the writer leaves trying again to its user.
	until("the topic", func() bool {
		err := k.produce(topic, []kafka.Message{{Value: []byte("v")}}, allow)
		if err != nil && !errors.Is(err, kafka.UnknownTopicOrPartition) && !errors.Is(err, kafka.LeaderNotAvailable) {
			panic(err)
		}
		return err == nil
	})
	check("value", string(k.read(topic, 0, 1)[0].Value), "v")
}

func (k *kafkaGo) seekBeginning() {
	topic := k.topic("seek", 1)
	k.values(topic, "a", "b")
	reader := k.reader(topic, 0, kafka.FirstOffset, 100*time.Millisecond)
	defer reader.Close()
	next(reader, 2)
	must(reader.SetOffset(0))
	check("first", string(next(reader, 2)[0].Value), "a")
}

func (k *kafkaGo) expectNext(topic string, offset int64, maxWait time.Duration) {
	reader := k.reader(topic, 0, offset, maxWait)
	// Closing waits for the fetch that is under way.
	defer func() { go reader.Close() }()
	wait := concurrently(func() { check("value", string(next(reader, 1)[0].Value), "new") })
	// It starts to fetch when it is first asked for a message: until it has, the end would be behind the new one.
	time.Sleep(settling)
	k.values(topic, "new")
	wait()
}

func (k *kafkaGo) seekEnd() {
	topic := k.topic("seek", 1)
	k.values(topic, "old")
	k.expectNext(topic, kafka.LastOffset, 100*time.Millisecond)
}

func (k *kafkaGo) longPoll() {
	topic := k.topic("long-poll", 1)
	k.values(topic, "old")
	k.expectNext(topic, 1, longWait)
}

func (k *kafkaGo) timed() string {
	topic := k.topic("times", 1)
	var messages []kafka.Message
	for _, at := range times {
		messages = append(messages, kafka.Message{Value: []byte("v"), Time: at})
	}
	must(k.produce(topic, messages))
	return topic
}

func (k *kafkaGo) seekTimestamp() {
	topic := k.timed()
	reader := k.reader(topic, 0, kafka.FirstOffset, 100*time.Millisecond)
	defer reader.Close()
	must(reader.SetOffsetAt(context.Background(), times[1].Add(-500*time.Millisecond)))
	check("time", next(reader, 2)[0].Time.UnixMilli(), times[1].UnixMilli())
}

func (k *kafkaGo) createTopic() {
	topic := k.topic("admin", 3)
	check("error", errors.Is(k.create(topic, 1, nil), kafka.TopicAlreadyExists), true)
}

func (k *kafkaGo) describeTopic() {
	described := k.metadata(k.topic("admin", 3)).Topics[0]
	check("partitions", len(described.Partitions), 3)
	for _, partition := range described.Partitions {
		check("replicas", []int{len(partition.Replicas), len(partition.Isr)}, []int{1, 1})
	}
}

func (k *kafkaGo) isListed(topic string) bool {
	for _, listed := range k.metadata().Topics {
		if listed.Name == topic {
			return true
		}
	}
	return false
}

func (k *kafkaGo) listTopics() {
	check("listed", k.isListed(k.topic("admin", 1)), true)
}

func (k *kafkaGo) createPartitions() {
	topic := k.topic("grow", 1)
	answer, err := k.client.CreatePartitions(context.Background(), &kafka.CreatePartitionsRequest{Topics: []kafka.TopicPartitionsConfig{{Name: topic, Count: 4}}})
	must(err)
	must(answer.Errors[topic])
	until("the partitions", func() bool { return k.partitionCount(topic) == 4 })
}

func (k *kafkaGo) deleteTopic() {
	topic := k.topic("gone", 1)
	remove := func() error {
		answer, err := k.client.DeleteTopics(context.Background(), &kafka.DeleteTopicsRequest{Topics: []string{topic}})
		must(err)
		return answer.Errors[topic]
	}
	must(remove())
	until("its end", func() bool { return !k.isListed(topic) })
	check("error", errors.Is(remove(), kafka.UnknownTopicOrPartition), true)
}

func (k *kafkaGo) configsOf(topic string) map[string]kafka.DescribeConfigResponseConfigEntry {
	answer, err := k.client.DescribeConfigs(context.Background(), &kafka.DescribeConfigsRequest{
		Resources: []kafka.DescribeConfigRequestResource{{ResourceType: kafka.ResourceTypeTopic, ResourceName: topic}},
	})
	must(err)
	configs := map[string]kafka.DescribeConfigResponseConfigEntry{}
	for _, entry := range answer.Resources[0].ConfigEntries {
		configs[entry.ConfigName] = entry
	}
	return configs
}

func (k *kafkaGo) expectConfigs(topic string, expected map[string]string) {
	until("the configs", func() bool {
		configs := k.configsOf(topic)
		for name, value := range expected {
			if configs[name].ConfigValue != value {
				return false
			}
		}
		return true
	})
}

func (k *kafkaGo) describeConfigs() {
	configs := k.configsOf(k.topic("configs", 1, kafka.ConfigEntry{ConfigName: "retention.ms", ConfigValue: "3600000"}))
	check("retention", fmt.Sprint(configs["retention.ms"].ConfigValue, " ", configs["retention.ms"].ConfigSource), "3600000 1")
	check("policy", fmt.Sprint(configs["cleanup.policy"].ConfigValue, " ", configs["cleanup.policy"].ConfigSource), "delete 5")
}

func (k *kafkaGo) alterConfigs() {
	topic := k.topic("configs", 1, kafka.ConfigEntry{ConfigName: "retention.ms", ConfigValue: "3600000"})
	answer, err := k.client.AlterConfigs(context.Background(), &kafka.AlterConfigsRequest{Resources: []kafka.AlterConfigRequestResource{{
		ResourceType: kafka.ResourceTypeTopic, ResourceName: topic,
		Configs: []kafka.AlterConfigRequestConfig{{Name: "max.message.bytes", Value: "2000"}},
	}}})
	must(err)
	for _, failure := range answer.Errors {
		must(failure)
	}
	k.expectConfigs(topic, map[string]string{"max.message.bytes": "2000", "retention.ms": "604800000"})
}

func (k *kafkaGo) incrementalAlterConfigs() {
	topic := k.topic("configs", 1, kafka.ConfigEntry{ConfigName: "retention.ms", ConfigValue: "3600000"})
	answer, err := k.client.IncrementalAlterConfigs(context.Background(), &kafka.IncrementalAlterConfigsRequest{
		Resources: []kafka.IncrementalAlterConfigsRequestResource{{
			ResourceType: kafka.ResourceTypeTopic, ResourceName: topic,
			Configs: []kafka.IncrementalAlterConfigsRequestConfig{
				{Name: "cleanup.policy", Value: "compact", ConfigOperation: kafka.ConfigOperationAppend},
				{Name: "max.message.bytes", Value: "2000", ConfigOperation: kafka.ConfigOperationSet},
				{Name: "retention.ms", ConfigOperation: kafka.ConfigOperationDelete},
			},
		}},
	})
	must(err)
	must(answer.Resources[0].Error)
	k.expectConfigs(topic, map[string]string{"cleanup.policy": "delete,compact", "max.message.bytes": "2000", "retention.ms": "604800000"})
}

func (k *kafkaGo) describeCluster() {
	answer := k.metadata()
	check("brokers", len(answer.Brokers), 1)
	check("address", fmt.Sprintf("%s:%d", answer.Brokers[0].Host, answer.Brokers[0].Port), k.address)
	check("has a cluster id", answer.ClusterID != "", true)
}

func (k *kafkaGo) listOffsets() {
	topic := k.timed()
	check("first", k.offset(topic, kafka.FirstOffsetOf(0)), int64(0))
	check("end", k.offset(topic, kafka.LastOffsetOf(0)), int64(3))
	check("by time", k.offset(topic, kafka.TimeOffsetOf(0, times[1])), int64(1))
}

// connection uses the low-level connection, whose versions are the oldest of all.
func (k *kafkaGo) connection() {
	topic := k.topic("connection", 1)
	conn, err := kafka.DialLeader(context.Background(), "tcp", k.address, topic, 0)
	must(err)
	defer conn.Close()
	_, err = conn.WriteMessages(kafka.Message{Value: []byte("a")}, kafka.Message{Value: []byte("b")})
	must(err)
	first, last, err := conn.ReadOffsets()
	must(err)
	check("offsets", []int64{first, last}, []int64{0, 2})
	_, err = conn.Seek(0, kafka.SeekStart)
	must(err)
	batch := conn.ReadBatch(1, 1_000_000)
	for _, expected := range []string{"a", "b"} {
		message, err := batch.ReadMessage()
		must(err)
		check("value", string(message.Value), expected)
	}
	_, err = batch.ReadMessage()
	check("end", errors.Is(err, io.EOF), true)
}
