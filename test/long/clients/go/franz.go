package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// franz speaks the newest versions that both sides have, produces idempotently and fetches by topic id unless told otherwise.
type franz struct {
	address string
	admin   *kadm.Client
}

func franzCases(address string) cases {
	client, err := kgo.NewClient(kgo.SeedBrokers(address))
	must(err)
	f := &franz{address, kadm.NewClient(client)}
	return cases{
		"codec-none":                f.codec(kgo.NoCompression()),
		"codec-gzip":                f.codec(kgo.GzipCompression()),
		"codec-snappy":              f.codec(kgo.SnappyCompression()),
		"codec-lz4":                 f.codec(kgo.Lz4Compression()),
		"codec-zstd":                f.codec(kgo.ZstdCompression()),
		"idempotent":                f.idempotent,
		"acks":                      f.acks,
		"headers":                   f.headers,
		"nulls":                     f.nulls,
		"big-message":               f.bigMessage,
		"too-large":                 f.tooLarge,
		"partitions":                f.partitions,
		"auto-create":               f.autoCreate,
		"seek-beginning":            f.seekBeginning,
		"seek-end":                  f.seekEnd,
		"seek-timestamp":            f.seekTimestamp,
		"long-poll":                 f.longPoll,
		"create-topic":              f.createTopic,
		"describe-topic":            f.describeTopic,
		"list-topics":               f.listTopics,
		"create-partitions":         f.createPartitions,
		"delete-topic":              f.deleteTopic,
		"delete-records":            f.deleteRecords,
		"describe-configs":          f.describeConfigs,
		"alter-configs":             f.alterConfigs,
		"incremental-alter-configs": f.incrementalAlterConfigs,
		"describe-cluster":          f.describeCluster,
		"list-offsets":              f.listOffsets,
	}
}

func (f *franz) topic(purpose string, partitions int32, configs map[string]*string) string {
	topic := unique(purpose)
	_, err := f.admin.CreateTopic(context.Background(), partitions, 1, configs, topic)
	must(err)
	until("the topic", func() bool { return f.partitionCount(topic) == int(partitions) })
	return topic
}

func (f *franz) partitionCount(topic string) int {
	listed, err := f.admin.ListTopics(context.Background(), topic)
	must(err)
	for _, partition := range listed[topic].Partitions {
		if partition.Err != nil {
			return 0
		}
	}
	return len(listed[topic].Partitions)
}

func (f *franz) produce(records []*kgo.Record, options ...kgo.Opt) error {
	client, err := kgo.NewClient(append([]kgo.Opt{
		kgo.SeedBrokers(f.address),
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProducerBatchMaxBytes(2_000_000),
	}, options...)...)
	must(err)
	defer client.Close()
	return client.ProduceSync(context.Background(), records...).FirstErr()
}

// reader consumes partitions that it is assigned.
func (f *franz) reader(topic string, from kgo.Offset, partitions int32, options ...kgo.Opt) *kgo.Client {
	assigned := map[int32]kgo.Offset{}
	for partition := range partitions {
		assigned[partition] = from
	}
	client, err := kgo.NewClient(append([]kgo.Opt{
		kgo.SeedBrokers(f.address),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: assigned}),
	}, options...)...)
	must(err)
	return client
}

func take(client *kgo.Client, count int, timeout time.Duration) []*kgo.Record {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	var records []*kgo.Record
	for len(records) < count {
		fetches := client.PollFetches(ctx)
		must(fetches.Err())
		records = append(records, fetches.Records()...)
	}
	check("records read", len(records), count)
	return records
}

func (f *franz) read(topic string, count int) []*kgo.Record {
	client := f.reader(topic, kgo.NewOffset().AtStart(), 1)
	defer client.Close()
	return take(client, count, readTimeout)
}

func (f *franz) codec(codec kgo.CompressionCodec) func() {
	return func() {
		topic := f.topic("codec", 1, nil)
		var sent []*kgo.Record
		for _, record := range numbered(200) {
			sent = append(sent, &kgo.Record{Topic: topic, Key: record.key, Value: record.value})
		}
		must(f.produce(sent, kgo.ProducerBatchCompression(codec)))
		for i, record := range f.read(topic, len(sent)) {
			check("key", string(record.Key), string(sent[i].Key))
			check("value", string(record.Value), string(sent[i].Value))
			check("offset", record.Offset, int64(i))
		}
	}
}

func (f *franz) idempotent() {
	topic := f.topic("idempotent", 1, nil)
	client, err := kgo.NewClient(kgo.SeedBrokers(f.address), kgo.MaxBufferedRecords(10))
	must(err)
	defer client.Close()
	for i := range 1000 {
		client.Produce(context.Background(), &kgo.Record{Topic: topic, Value: []byte(fmt.Sprint(i))}, func(_ *kgo.Record, err error) { must(err) })
	}
	must(client.Flush(context.Background()))
	for i, record := range f.read(topic, 1000) {
		check("value", string(record.Value), fmt.Sprint(i))
	}
}

func (f *franz) acks() {
	topic := f.topic("acks", 1, nil)
	must(f.produce([]*kgo.Record{{Topic: topic, Value: []byte("none")}}, kgo.RequiredAcks(kgo.NoAck()), kgo.DisableIdempotentWrite()))
	until("the record without an answer", func() bool { return f.endOffset(topic) == 1 })
	must(f.produce([]*kgo.Record{{Topic: topic, Value: []byte("one")}}, kgo.RequiredAcks(kgo.LeaderAck()), kgo.DisableIdempotentWrite()))
	check("last", string(f.read(topic, 2)[1].Value), "one")
}

func (f *franz) endOffset(topic string) int64 {
	listed, err := f.admin.ListEndOffsets(context.Background(), topic)
	must(err)
	return listed[topic][0].Offset
}

func (f *franz) headers() {
	topic := f.topic("headers", 1, nil)
	headers := []kgo.RecordHeader{{Key: "one", Value: []byte("first")}, {Key: "one", Value: []byte("again")}, {Key: "empty", Value: []byte{}}, {Key: "null"}}
	must(f.produce([]*kgo.Record{{Topic: topic, Value: []byte("v"), Headers: headers}}))
	check("headers", f.read(topic, 1)[0].Headers, headers)
}

func (f *franz) nulls() {
	topic := f.topic("nulls", 1, nil)
	sent := []*kgo.Record{{Topic: topic, Value: []byte("no key")}, {Topic: topic, Key: []byte("no value")}, {Topic: topic, Key: []byte{}, Value: []byte{}}}
	must(f.produce(sent))
	for i, record := range f.read(topic, 3) {
		check("key", record.Key, sent[i].Key)
		check("value", record.Value, sent[i].Value)
	}
}

func (f *franz) bigMessage() {
	topic := f.topic("big", 1, nil)
	value := make([]byte, bigBytes)
	must(f.produce([]*kgo.Record{{Topic: topic, Value: value}}, kgo.ProducerBatchCompression(kgo.NoCompression())))
	check("size", len(f.read(topic, 1)[0].Value), len(value))
}

func (f *franz) tooLarge() {
	topic := f.topic("too-large", 1, nil)
	err := f.produce([]*kgo.Record{{Topic: topic, Value: make([]byte, tooLargeBytes)}}, kgo.ProducerBatchCompression(kgo.NoCompression()))
	check("error", errors.Is(err, kerr.MessageTooLarge), true)
}

func (f *franz) partitions() {
	topic := f.topic("partitions", 40, nil)
	var sent []*kgo.Record
	for i := range 400 {
		sent = append(sent, &kgo.Record{Topic: topic, Partition: int32(i % 40), Value: []byte(fmt.Sprint(i))})
	}
	must(f.produce(sent))
	client := f.reader(topic, kgo.NewOffset().AtStart(), 40)
	defer client.Close()
	next := map[int32]int{}
	for _, record := range take(client, 400, readTimeout) {
		check("value", string(record.Value), fmt.Sprint(int(record.Partition)+40*next[record.Partition]))
		next[record.Partition]++
	}
}

func (f *franz) autoCreate() {
	topic := unique("auto")
	must(f.produce([]*kgo.Record{{Topic: topic, Value: []byte("v")}}, kgo.AllowAutoTopicCreation()))
	check("value", string(f.read(topic, 1)[0].Value), "v")
}

func (f *franz) values(topic string, values ...string) {
	var sent []*kgo.Record
	for _, value := range values {
		sent = append(sent, &kgo.Record{Topic: topic, Value: []byte(value)})
	}
	must(f.produce(sent))
}

func (f *franz) seekBeginning() {
	topic := f.topic("seek", 1, nil)
	f.values(topic, "a", "b")
	client := f.reader(topic, kgo.NewOffset().AtStart(), 1)
	defer client.Close()
	take(client, 2, readTimeout)
	client.SetOffsets(map[string]map[int32]kgo.EpochOffset{topic: {0: {Epoch: -1, Offset: 0}}})
	check("first", string(take(client, 2, readTimeout)[0].Value), "a")
}

func (f *franz) seekEnd() {
	topic := f.topic("seek", 1, nil)
	f.values(topic, "old")
	client := f.reader(topic, kgo.NewOffset().AtEnd(), 1)
	defer client.Close()
	// It knows the end only once it has asked: a first poll that finds nothing makes it ask.
	ctx, cancel := context.WithTimeout(context.Background(), settling)
	client.PollFetches(ctx)
	cancel()
	f.values(topic, "new")
	check("value", string(take(client, 1, readTimeout)[0].Value), "new")
}

func (f *franz) timed() string {
	topic := f.topic("times", 1, nil)
	var sent []*kgo.Record
	for _, at := range times {
		sent = append(sent, &kgo.Record{Topic: topic, Value: []byte("v"), Timestamp: at})
	}
	must(f.produce(sent))
	return topic
}

func (f *franz) seekTimestamp() {
	client := f.reader(f.timed(), kgo.NewOffset().AfterMilli(times[1].UnixMilli()-500), 1)
	defer client.Close()
	check("time", take(client, 2, readTimeout)[0].Timestamp.UnixMilli(), times[1].UnixMilli())
}

func (f *franz) longPoll() {
	topic := f.topic("long-poll", 1, nil)
	f.values(topic, "old")
	client := f.reader(topic, kgo.NewOffset().At(1), 1, kgo.FetchMaxWait(longWait))
	defer client.Close()
	wait := concurrently(func() { check("value", string(take(client, 1, wakeTimeout)[0].Value), "new") })
	time.Sleep(settling)
	f.values(topic, "new")
	wait()
}

func (f *franz) createTopic() {
	topic := f.topic("admin", 3, nil)
	_, err := f.admin.CreateTopic(context.Background(), 1, 1, nil, topic)
	check("error", errors.Is(err, kerr.TopicAlreadyExists), true)
}

func (f *franz) describeTopic() {
	topic := f.topic("admin", 3, nil)
	listed, err := f.admin.ListTopics(context.Background(), topic)
	must(err)
	check("has an id", listed[topic].ID != kadm.TopicID{}, true)
	for id, partition := range listed[topic].Partitions {
		check("replicas", []int{int(id), len(partition.Replicas), len(partition.ISR)}, []int{int(partition.Partition), 1, 1})
	}
}

func (f *franz) listTopics() {
	topic := f.topic("admin", 1, nil)
	listed, err := f.admin.ListTopics(context.Background())
	must(err)
	check("listed", listed.Has(topic), true)
}

func (f *franz) createPartitions() {
	topic := f.topic("grow", 1, nil)
	answers, err := f.admin.UpdatePartitions(context.Background(), 4, topic)
	must(err)
	must(answers.Error())
	until("the partitions", func() bool { return f.partitionCount(topic) == 4 })
}

func (f *franz) deleteTopic() {
	topic := f.topic("gone", 1, nil)
	_, err := f.admin.DeleteTopic(context.Background(), topic)
	must(err)
	until("its end", func() bool {
		listed, err := f.admin.ListTopics(context.Background())
		must(err)
		return !listed.Has(topic)
	})
	_, err = f.admin.DeleteTopic(context.Background(), topic)
	check("error", errors.Is(err, kerr.UnknownTopicOrPartition), true)
}

func (f *franz) deleteRecords() {
	topic := f.topic("delete-records", 1, nil)
	f.values(topic, "0", "1", "2", "3", "4", "5")
	offsets := kadm.Offsets{}
	offsets.AddOffset(topic, 0, 4, -1)
	deleted, err := f.admin.DeleteRecords(context.Background(), offsets)
	must(err)
	must(deleted.Error())
	check("low watermark", deleted[topic][0].LowWatermark, int64(4))
	check("first", f.read(topic, 2)[0].Offset, int64(4))
}

func (f *franz) configsOf(topic string) map[string]kadm.Config {
	described, err := f.admin.DescribeTopicConfigs(context.Background(), topic)
	must(err)
	configs := map[string]kadm.Config{}
	for _, config := range described[0].Configs {
		configs[config.Key] = config
	}
	return configs
}

func (f *franz) describeConfigs() {
	configs := f.configsOf(f.topic("configs", 1, map[string]*string{"retention.ms": kadm.StringPtr("3600000")}))
	check("retention", *configs["retention.ms"].Value+" "+configs["retention.ms"].Source.String(), "3600000 DYNAMIC_TOPIC_CONFIG")
	check("policy", *configs["cleanup.policy"].Value+" "+configs["cleanup.policy"].Source.String(), "delete DEFAULT_CONFIG")
}

func (f *franz) expectConfigs(topic string, expected map[string]string) {
	until("the configs", func() bool {
		configs := f.configsOf(topic)
		for name, value := range expected {
			if *configs[name].Value != value {
				return false
			}
		}
		return true
	})
}

func (f *franz) alterConfigs() {
	topic := f.topic("configs", 1, map[string]*string{"retention.ms": kadm.StringPtr("3600000")})
	answers, err := f.admin.AlterTopicConfigsState(context.Background(), []kadm.AlterConfig{{Name: "max.message.bytes", Value: kadm.StringPtr("2000")}}, topic)
	must(err)
	must(answers[0].Err)
	f.expectConfigs(topic, map[string]string{"max.message.bytes": "2000", "retention.ms": "604800000"})
}

func (f *franz) incrementalAlterConfigs() {
	topic := f.topic("configs", 1, map[string]*string{"retention.ms": kadm.StringPtr("3600000")})
	answers, err := f.admin.AlterTopicConfigs(context.Background(), []kadm.AlterConfig{
		{Op: kadm.AppendConfig, Name: "cleanup.policy", Value: kadm.StringPtr("compact")},
		{Op: kadm.SetConfig, Name: "max.message.bytes", Value: kadm.StringPtr("2000")},
		{Op: kadm.DeleteConfig, Name: "retention.ms"},
	}, topic)
	must(err)
	must(answers[0].Err)
	f.expectConfigs(topic, map[string]string{"cleanup.policy": "delete,compact", "max.message.bytes": "2000", "retention.ms": "604800000"})
}

func (f *franz) describeCluster() {
	metadata, err := f.admin.BrokerMetadata(context.Background())
	must(err)
	check("brokers", len(metadata.Brokers), 1)
	check("address", fmt.Sprintf("%s:%d", metadata.Brokers[0].Host, metadata.Brokers[0].Port), f.address)
	check("has a cluster id", metadata.Cluster != "", true)
}

func (f *franz) listOffsets() {
	topic := f.timed()
	ctx := context.Background()
	offset := func(listed kadm.ListedOffsets, err error) int64 {
		must(err)
		must(listed.Error())
		return listed[topic][0].Offset
	}
	check("first", offset(f.admin.ListStartOffsets(ctx, topic)), int64(0))
	check("end", offset(f.admin.ListEndOffsets(ctx, topic)), int64(3))
	check("youngest", offset(f.admin.ListMaxTimestampOffsets(ctx, topic)), int64(2))
	check("by time", offset(f.admin.ListOffsetsAfterMilli(ctx, times[1].UnixMilli(), topic)), int64(1))
}
