package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/IBM/sarama"
)

type saramaClient struct {
	address string
	admin   sarama.ClusterAdmin
	client  sarama.Client
}

func saramaCases(address string) cases {
	config := sarama.NewConfig()
	admin, err := sarama.NewClusterAdmin([]string{address}, config)
	must(err)
	client, err := sarama.NewClient([]string{address}, config)
	must(err)
	s := &saramaClient{address, admin, client}
	return cases{
		"codec-none":                s.codec(sarama.CompressionNone),
		"codec-gzip":                s.codec(sarama.CompressionGZIP),
		"codec-snappy":              s.codec(sarama.CompressionSnappy),
		"codec-lz4":                 s.codec(sarama.CompressionLZ4),
		"codec-zstd":                s.codec(sarama.CompressionZSTD),
		"idempotent":                s.idempotent,
		"acks":                      s.acks,
		"headers":                   s.headers,
		"nulls":                     s.nulls,
		"big-message":               s.bigMessage,
		"too-large":                 s.tooLarge,
		"partitions":                s.partitions,
		"auto-create":               s.autoCreate,
		"seek-beginning":            s.seekBeginning,
		"seek-end":                  s.seekEnd,
		"seek-timestamp":            s.seekTimestamp,
		"long-poll":                 s.longPoll,
		"create-topic":              s.createTopic,
		"describe-topic":            s.describeTopic,
		"list-topics":               s.listTopics,
		"create-partitions":         s.createPartitions,
		"delete-topic":              s.deleteTopic,
		"delete-records":            s.deleteRecords,
		"describe-configs":          s.describeConfigs,
		"alter-configs":             s.alterConfigs,
		"incremental-alter-configs": s.incrementalAlterConfigs,
		"describe-cluster":          s.describeCluster,
		"list-offsets":              s.listOffsets,
	}
}

func (s *saramaClient) topic(purpose string, partitions int32, configs map[string]*string) string {
	topic := unique(purpose)
	must(s.admin.CreateTopic(topic, &sarama.TopicDetail{NumPartitions: partitions, ReplicationFactor: 1, ConfigEntries: configs}, false))
	until("the topic", func() bool { return s.partitionCount(topic) == int(partitions) })
	return topic
}

func (s *saramaClient) partitionCount(topic string) int {
	described, err := s.admin.DescribeTopics([]string{topic})
	must(err)
	for _, partition := range described[0].Partitions {
		if partition.Err != sarama.ErrNoError {
			return 0
		}
	}
	return len(described[0].Partitions)
}

func (s *saramaClient) produce(messages []*sarama.ProducerMessage, adjust ...func(*sarama.Config)) error {
	config := sarama.NewConfig()
	config.Producer.Return.Successes = true
	config.Producer.Partitioner = sarama.NewManualPartitioner
	config.Producer.MaxMessageBytes = 2_000_000
	for _, change := range adjust {
		change(config)
	}
	producer, err := sarama.NewSyncProducer([]string{s.address}, config)
	must(err)
	defer producer.Close()
	return producer.SendMessages(messages)
}

func (s *saramaClient) values(topic string, values ...string) {
	var messages []*sarama.ProducerMessage
	for _, value := range values {
		messages = append(messages, &sarama.ProducerMessage{Topic: topic, Value: sarama.StringEncoder(value)})
	}
	must(s.produce(messages))
}

// read takes messages of one partition from an offset on.
func (s *saramaClient) read(topic string, partition int32, offset int64, count int) []*sarama.ConsumerMessage {
	config := sarama.NewConfig()
	// Closing waits for the fetch that is under way.
	config.Consumer.MaxWaitTime = 50 * time.Millisecond
	consumer, err := sarama.NewConsumer([]string{s.address}, config)
	must(err)
	defer consumer.Close()
	messages, err := consumer.ConsumePartition(topic, partition, offset)
	must(err)
	defer messages.Close()
	return receive(messages, count, readTimeout)
}

func receive(from sarama.PartitionConsumer, count int, timeout time.Duration) []*sarama.ConsumerMessage {
	var received []*sarama.ConsumerMessage
	deadline := time.After(timeout)
	for len(received) < count {
		select {
		case message := <-from.Messages():
			received = append(received, message)
		case <-deadline:
			panic(fmt.Sprintf("%d of %d messages", len(received), count))
		}
	}
	return received
}

func (s *saramaClient) codec(codec sarama.CompressionCodec) func() {
	return func() {
		topic := s.topic("codec", 1, nil)
		sent := numbered(200)
		var messages []*sarama.ProducerMessage
		for _, record := range sent {
			messages = append(messages, &sarama.ProducerMessage{Topic: topic, Key: sarama.ByteEncoder(record.key), Value: sarama.ByteEncoder(record.value)})
		}
		must(s.produce(messages, func(config *sarama.Config) { config.Producer.Compression = codec }))
		for i, message := range s.read(topic, 0, sarama.OffsetOldest, len(sent)) {
			check("key", string(message.Key), string(sent[i].key))
			check("value", string(message.Value), string(sent[i].value))
			check("offset", message.Offset, int64(i))
		}
	}
}

func (s *saramaClient) idempotent() {
	topic := s.topic("idempotent", 1, nil)
	var messages []*sarama.ProducerMessage
	for i := range 1000 {
		messages = append(messages, &sarama.ProducerMessage{Topic: topic, Value: sarama.StringEncoder(fmt.Sprint(i))})
	}
	must(s.produce(messages, func(config *sarama.Config) {
		config.Producer.Idempotent = true
		config.Producer.RequiredAcks = sarama.WaitForAll
		config.Producer.Flush.MaxMessages = 10
		config.Net.MaxOpenRequests = 1
	}))
	for i, message := range s.read(topic, 0, sarama.OffsetOldest, 1000) {
		check("value", string(message.Value), fmt.Sprint(i))
	}
}

func (s *saramaClient) acks() {
	topic := s.topic("acks", 1, nil)
	for _, acks := range []sarama.RequiredAcks{sarama.NoResponse, sarama.WaitForLocal} {
		message := []*sarama.ProducerMessage{{Topic: topic, Value: sarama.StringEncoder(fmt.Sprint(acks))}}
		must(s.produce(message, func(config *sarama.Config) { config.Producer.RequiredAcks = acks }))
		until("the record", func() bool { return s.offset(topic, sarama.OffsetNewest) == 1-int64(sarama.NoResponse)+int64(acks) })
	}
	check("last", string(s.read(topic, 0, sarama.OffsetOldest, 2)[1].Value), fmt.Sprint(sarama.WaitForLocal))
}

func (s *saramaClient) offset(topic string, at int64) int64 {
	offset, err := s.client.GetOffset(topic, 0, at)
	must(err)
	return offset
}

func (s *saramaClient) headers() {
	topic := s.topic("headers", 1, nil)
	headers := []sarama.RecordHeader{{Key: []byte("one"), Value: []byte("first")}, {Key: []byte("one"), Value: []byte("again")}, {Key: []byte("empty"), Value: []byte{}}}
	must(s.produce([]*sarama.ProducerMessage{{Topic: topic, Value: sarama.StringEncoder("v"), Headers: headers}}))
	for i, header := range s.read(topic, 0, sarama.OffsetOldest, 1)[0].Headers {
		check("header", string(header.Key)+"="+string(header.Value), string(headers[i].Key)+"="+string(headers[i].Value))
	}
}

func (s *saramaClient) nulls() {
	topic := s.topic("nulls", 1, nil)
	must(s.produce([]*sarama.ProducerMessage{
		{Topic: topic, Value: sarama.StringEncoder("no key")},
		{Topic: topic, Key: sarama.StringEncoder("no value")},
		{Topic: topic, Key: sarama.StringEncoder(""), Value: sarama.StringEncoder("")},
	}))
	messages := s.read(topic, 0, sarama.OffsetOldest, 3)
	check("null key", messages[0].Key == nil && string(messages[0].Value) == "no key", true)
	check("null value", messages[1].Value == nil && string(messages[1].Key) == "no value", true)
	check("empty", messages[2].Key != nil && messages[2].Value != nil && len(messages[2].Value) == 0, true)
}

func (s *saramaClient) bigMessage() {
	topic := s.topic("big", 1, nil)
	must(s.produce([]*sarama.ProducerMessage{{Topic: topic, Value: sarama.ByteEncoder(make([]byte, bigBytes))}}))
	check("size", len(s.read(topic, 0, sarama.OffsetOldest, 1)[0].Value), bigBytes)
}

func (s *saramaClient) tooLarge() {
	topic := s.topic("too-large", 1, nil)
	err := s.produce([]*sarama.ProducerMessage{{Topic: topic, Value: sarama.ByteEncoder(make([]byte, tooLargeBytes))}})
	var failures sarama.ProducerErrors
	check("is refused", errors.As(err, &failures), true)
	check("error", errors.Is(failures[0].Err, sarama.ErrMessageSizeTooLarge), true)
}

func (s *saramaClient) partitions() {
	topic := s.topic("partitions", 40, nil)
	var messages []*sarama.ProducerMessage
	for i := range 400 {
		messages = append(messages, &sarama.ProducerMessage{Topic: topic, Partition: int32(i % 40), Value: sarama.StringEncoder(fmt.Sprint(i))})
	}
	must(s.produce(messages))
	for partition := range int32(40) {
		for i, message := range s.read(topic, partition, sarama.OffsetOldest, 10) {
			check("value", string(message.Value), fmt.Sprint(int(partition)+40*i))
		}
	}
}

func (s *saramaClient) autoCreate() {
	topic := unique("auto")
	s.values(topic, "v")
	check("value", string(s.read(topic, 0, sarama.OffsetOldest, 1)[0].Value), "v")
}

func (s *saramaClient) seekBeginning() {
	topic := s.topic("seek", 1, nil)
	s.values(topic, "a", "b")
	check("first", string(s.read(topic, 0, sarama.OffsetOldest, 2)[0].Value), "a")
	check("middle", string(s.read(topic, 0, 1, 1)[0].Value), "b")
}

func (s *saramaClient) seekEnd() {
	topic := s.topic("seek", 1, nil)
	s.values(topic, "old")
	s.expectNext(topic, sarama.OffsetNewest, sarama.NewConfig())
}

func (s *saramaClient) longPoll() {
	topic := s.topic("long-poll", 1, nil)
	s.values(topic, "old")
	config := sarama.NewConfig()
	config.Consumer.MaxWaitTime = longWait
	config.Net.ReadTimeout = 2 * longWait
	s.expectNext(topic, 1, config)
}

// expectNext starts to read, writes, and expects to read what was written.
func (s *saramaClient) expectNext(topic string, offset int64, config *sarama.Config) {
	consumer, err := sarama.NewConsumer([]string{s.address}, config)
	must(err)
	messages, err := consumer.ConsumePartition(topic, 0, offset)
	must(err)
	time.Sleep(settling)
	s.values(topic, "new")
	check("value", string(receive(messages, 1, wakeTimeout)[0].Value), "new")
	messages.AsyncClose()
}

func (s *saramaClient) timed() string {
	topic := s.topic("times", 1, nil)
	var messages []*sarama.ProducerMessage
	for _, at := range times {
		messages = append(messages, &sarama.ProducerMessage{Topic: topic, Value: sarama.StringEncoder("v"), Timestamp: at})
	}
	must(s.produce(messages))
	return topic
}

func (s *saramaClient) seekTimestamp() {
	topic := s.timed()
	offset := s.offset(topic, times[1].UnixMilli()-500)
	check("offset", offset, int64(1))
	check("time", s.read(topic, 0, offset, 2)[0].Timestamp.UnixMilli(), times[1].UnixMilli())
}

func (s *saramaClient) createTopic() {
	topic := s.topic("admin", 3, nil)
	err := s.admin.CreateTopic(topic, &sarama.TopicDetail{NumPartitions: 1, ReplicationFactor: 1}, false)
	check("error", errors.Is(err, sarama.ErrTopicAlreadyExists), true)
}

func (s *saramaClient) describeTopic() {
	described, err := s.admin.DescribeTopics([]string{s.topic("admin", 3, nil)})
	must(err)
	check("partitions", len(described[0].Partitions), 3)
	for _, partition := range described[0].Partitions {
		check("replicas", []int{len(partition.Replicas), len(partition.Isr)}, []int{1, 1})
	}
}

func (s *saramaClient) isListed(topic string) bool {
	listed, err := s.admin.ListTopics()
	must(err)
	_, found := listed[topic]
	return found
}

func (s *saramaClient) listTopics() {
	check("listed", s.isListed(s.topic("admin", 1, nil)), true)
}

func (s *saramaClient) createPartitions() {
	topic := s.topic("grow", 1, nil)
	must(s.admin.CreatePartitions(topic, 4, nil, false))
	until("the partitions", func() bool { return s.partitionCount(topic) == 4 })
}

func (s *saramaClient) deleteTopic() {
	topic := s.topic("gone", 1, nil)
	must(s.admin.DeleteTopic(topic))
	until("its end", func() bool { return !s.isListed(topic) })
	check("error", errors.Is(s.admin.DeleteTopic(topic), sarama.ErrUnknownTopicOrPartition), true)
}

func (s *saramaClient) deleteRecords() {
	topic := s.topic("delete-records", 1, nil)
	s.values(topic, "0", "1", "2", "3", "4", "5")
	must(s.admin.DeleteRecords(topic, map[int32]int64{0: 4}))
	check("first", s.read(topic, 0, sarama.OffsetOldest, 2)[0].Offset, int64(4))
}

func (s *saramaClient) configsOf(topic string) map[string]sarama.ConfigEntry {
	entries, err := s.admin.DescribeConfig(sarama.ConfigResource{Type: sarama.TopicResource, Name: topic})
	must(err)
	configs := map[string]sarama.ConfigEntry{}
	for _, entry := range entries {
		configs[entry.Name] = entry
	}
	return configs
}

func (s *saramaClient) expectConfigs(topic string, expected map[string]string) {
	until("the configs", func() bool {
		configs := s.configsOf(topic)
		for name, value := range expected {
			if configs[name].Value != value {
				return false
			}
		}
		return true
	})
}

func (s *saramaClient) describeConfigs() {
	hour := "3600000"
	configs := s.configsOf(s.topic("configs", 1, map[string]*string{"retention.ms": &hour}))
	check("retention", configs["retention.ms"].Value+" "+configs["retention.ms"].Source.String(), "3600000 Topic")
	check("policy", configs["cleanup.policy"].Value+" "+configs["cleanup.policy"].Source.String(), "delete Default")
}

func (s *saramaClient) alterConfigs() {
	hour, size := "3600000", "2000"
	topic := s.topic("configs", 1, map[string]*string{"retention.ms": &hour})
	must(s.admin.AlterConfig(sarama.TopicResource, topic, map[string]*string{"max.message.bytes": &size}, false))
	s.expectConfigs(topic, map[string]string{"max.message.bytes": "2000", "retention.ms": "604800000"})
}

func (s *saramaClient) incrementalAlterConfigs() {
	hour, size, compact := "3600000", "2000", "compact"
	topic := s.topic("configs", 1, map[string]*string{"retention.ms": &hour})
	must(s.admin.IncrementalAlterConfig(sarama.TopicResource, topic, map[string]sarama.IncrementalAlterConfigsEntry{
		"cleanup.policy":    {Operation: sarama.IncrementalAlterConfigsOperationAppend, Value: &compact},
		"max.message.bytes": {Operation: sarama.IncrementalAlterConfigsOperationSet, Value: &size},
		"retention.ms":      {Operation: sarama.IncrementalAlterConfigsOperationDelete},
	}, false))
	s.expectConfigs(topic, map[string]string{"cleanup.policy": "delete,compact", "max.message.bytes": "2000", "retention.ms": "604800000"})
}

func (s *saramaClient) describeCluster() {
	brokers, controller, err := s.admin.DescribeCluster()
	must(err)
	check("brokers", len(brokers), 1)
	check("address", brokers[0].Addr(), s.address)
	check("controller", controller, brokers[0].ID())
}

func (s *saramaClient) listOffsets() {
	topic := s.timed()
	check("first", s.offset(topic, sarama.OffsetOldest), int64(0))
	check("end", s.offset(topic, sarama.OffsetNewest), int64(3))
	check("by time", s.offset(topic, times[1].UnixMilli()), int64(1))
}
