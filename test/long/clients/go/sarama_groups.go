package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/IBM/sarama"
)

func saramaGroupCases(address string) cases {
	config := sarama.NewConfig()
	config.Version = sarama.MaxVersion
	admin, err := sarama.NewClusterAdmin([]string{address}, config)
	must(err)
	client, err := sarama.NewClient([]string{address}, config)
	must(err)
	s := &saramaClient{address, admin, client}
	return cases{
		"share":            s.share,
		"vanish":           s.vanish,
		"resume":           s.resume,
		"commit-metadata":  s.commitMetadata,
		"static":           s.static,
		"list-groups":      s.listGroups,
		"alter-offsets":    s.alterOffsets,
		"delete-group":     s.deleteGroup,
		"transactions":     s.transactions,
		"open-transaction": s.openTransaction,
		"process":          s.process,
		"zombie":           s.zombie,
	}
}

// saramaMember consumes in a group, and knows its claims of the generation it is in.
type saramaMember struct {
	group      sarama.ConsumerGroup
	mutex      sync.Mutex
	values     []string
	claims     []int32
	generation int32
	note       string
	stop       context.CancelFunc
	stopped    chan struct{}
}

func (s *saramaClient) member(group, topic string, adjust ...func(*sarama.Config)) *saramaMember {
	config := sarama.NewConfig()
	config.Version = sarama.V2_8_0_0
	config.Consumer.Offsets.Initial = sarama.OffsetOldest
	config.Consumer.Offsets.AutoCommit.Enable = false
	config.Consumer.Group.Session.Timeout = 6 * time.Second
	config.Consumer.Group.Heartbeat.Interval = 200 * time.Millisecond
	config.Consumer.MaxWaitTime = 100 * time.Millisecond
	for _, change := range adjust {
		change(config)
	}
	consumer, err := sarama.NewConsumerGroup([]string{s.address}, group, config)
	must(err)
	ctx, cancel := context.WithCancel(context.Background())
	m := &saramaMember{group: consumer, stop: cancel, stopped: make(chan struct{})}
	go func() {
		defer close(m.stopped)
		for ctx.Err() == nil {
			if err := consumer.Consume(ctx, []string{topic}, m); err != nil && !errors.Is(err, sarama.ErrClosedConsumerGroup) {
				fmt.Println("consume:", err)
			}
		}
	}()
	return m
}

func (m *saramaMember) Setup(session sarama.ConsumerGroupSession) error {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	m.claims, m.generation = nil, session.GenerationID()
	for _, claims := range session.Claims() {
		m.claims = append(m.claims, claims...)
	}
	return nil
}

func (m *saramaMember) Cleanup(session sarama.ConsumerGroupSession) error {
	session.Commit()
	m.mutex.Lock()
	defer m.mutex.Unlock()
	m.claims = nil
	return nil
}

func (m *saramaMember) ConsumeClaim(session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	for {
		select {
		case message, open := <-claim.Messages():
			if !open {
				return nil
			}
			m.mutex.Lock()
			m.values = append(m.values, string(message.Value))
			session.MarkMessage(message, m.note)
			m.mutex.Unlock()
		case <-session.Context().Done():
			return nil
		}
	}
}

func (m *saramaMember) assigned() []int32 {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	return slices.Clone(m.claims)
}

func (m *saramaMember) read() []string {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	return slices.Clone(m.values)
}

func (m *saramaMember) close() {
	m.stop()
	<-m.stopped
	must(m.group.Close())
}

func have(count int, members ...*saramaMember) func() bool {
	return func() bool {
		for _, member := range members {
			if len(member.assigned()) != count {
				return false
			}
		}
		return true
	}
}

func instance(id string) func(*sarama.Config) {
	return func(config *sarama.Config) { config.Consumer.Group.InstanceId = id }
}

func (s *saramaClient) write(topic string, partition int32, values ...string) {
	var messages []*sarama.ProducerMessage
	for _, value := range values {
		messages = append(messages, &sarama.ProducerMessage{Topic: topic, Partition: partition, Value: sarama.StringEncoder(value)})
	}
	must(s.produce(messages))
}

func (s *saramaClient) share() {
	topic, group := s.topic("shared", 4, nil), unique("group")
	first := s.member(group, topic)
	until("all for the first", have(4, first))
	second := s.member(group, topic)
	until("half for each", have(2, first, second))
	for partition := range int32(4) {
		s.write(topic, partition, fmt.Sprint(partition))
	}
	until("all is read", func() bool { return len(first.read())+len(second.read()) == 4 })
	values := append(first.read(), second.read()...)
	slices.Sort(values)
	check("values", values, []string{"0", "1", "2", "3"})
	second.close()
	until("all for the first again", have(4, first))
	first.close()
}

func (s *saramaClient) vanish() {
	topic, group := s.topic("vanish", 2, nil), unique("group")
	// It says nothing when it is closed, as a static member, and nobody comes for it.
	gone, stays := s.member(group, topic, instance("gone")), s.member(group, topic)
	until("half for each", have(1, gone, stays))
	gone.close()
	until("all for the second", have(2, stays))
	stays.close()
}

func (s *saramaClient) resume() {
	topic, group := s.topic("resume", 1, nil), unique("group")
	s.write(topic, 0, "a", "b")
	before := s.member(group, topic)
	until("both are read", func() bool { return len(before.read()) == 2 })
	before.close()
	s.write(topic, 0, "c")
	after := s.member(group, topic)
	until("the rest", func() bool { return len(after.read()) > 0 })
	check("values", after.read(), []string{"c"})
	after.close()
}

func (s *saramaClient) committed(group, topic string) *sarama.OffsetFetchResponseBlock {
	offsets, err := s.admin.ListConsumerGroupOffsets(group, map[string][]int32{topic: {0}})
	must(err)
	return offsets.GetBlock(topic, 0)
}

func (s *saramaClient) commitMetadata() {
	topic, group := s.topic("commit", 1, nil), unique("group")
	s.write(topic, 0, "a", "b")
	member := s.member(group, topic)
	member.note = "a note: ä"
	until("both are read", func() bool { return len(member.read()) == 2 })
	member.close()
	kept := s.committed(group, topic)
	check("offset", []any{kept.Offset, kept.Metadata}, []any{int64(2), "a note: ä"})
}

func (s *saramaClient) static() {
	topic, group := s.topic("static", 2, nil), unique("group")
	first, second := s.member(group, topic, instance("a")), s.member(group, topic, instance("b"))
	until("one for each", have(1, first, second))
	had, generation := second.assigned(), second.generation
	second.close()
	again := s.member(group, topic, instance("b"))
	until("its partition", have(1, again))
	check("assigned", again.assigned(), had)
	check("generation", again.generation, generation)
	again.close()
	first.close()
}

func (s *saramaClient) listGroups() {
	topic, group := s.topic("list", 2, nil), unique("group")
	member := s.member(group, topic, func(config *sarama.Config) { config.ClientID = "me" })
	until("all for it", have(2, member))
	listed, err := s.admin.ListConsumerGroups()
	must(err)
	check("listed", listed[group], "consumer")
	described, err := s.admin.DescribeConsumerGroups([]string{group})
	must(err)
	check("state", described[0].State, "Stable")
	for _, one := range described[0].Members {
		assignment, err := one.GetMemberAssignment()
		must(err)
		check("member", []any{one.ClientId, len(assignment.Topics[topic])}, []any{"me", 2})
	}
	check("members", len(described[0].Members), 1)
	member.close()
}

func (s *saramaClient) alterOffsets() {
	topic, group := s.topic("alter", 1, nil), unique("group")
	s.write(topic, 0, "a", "b", "c")
	manager, err := sarama.NewOffsetManagerFromClient(group, s.client)
	must(err)
	partition, err := manager.ManagePartition(topic, 0)
	must(err)
	partition.MarkOffset(2, "")
	manager.Commit()
	must(partition.Close())
	must(manager.Close())
	member := s.member(group, topic)
	until("the rest", func() bool { return len(member.read()) > 0 })
	check("values", member.read(), []string{"c"})
	member.close()
	must(s.admin.DeleteConsumerGroupOffset(group, topic, 0))
	check("offset left", s.committed(group, topic).Offset, int64(-1))
}

func (s *saramaClient) deleteGroup() {
	topic, group := s.topic("delete", 1, nil), unique("group")
	member := s.member(group, topic)
	until("its partition", have(1, member))
	check("with a member", errors.Is(s.admin.DeleteConsumerGroup(group), sarama.ErrNonEmptyGroup), true)
	member.close()
	must(s.admin.DeleteConsumerGroup(group))
	check("again", errors.Is(s.admin.DeleteConsumerGroup(group), sarama.ErrGroupIDNotFound), true)
}

func (s *saramaClient) transactional(id string) sarama.SyncProducer {
	config := sarama.NewConfig()
	config.Version = sarama.V2_8_0_0
	config.Producer.Idempotent = true
	config.Producer.Transaction.ID = id
	config.Producer.RequiredAcks = sarama.WaitForAll
	config.Producer.Return.Successes = true
	config.Producer.Partitioner = sarama.NewManualPartitioner
	config.Net.MaxOpenRequests = 1
	producer, err := sarama.NewSyncProducer([]string{s.address}, config)
	must(err)
	return producer
}

func send(producer sarama.SyncProducer, topic string, partition int32, value string) error {
	_, _, err := producer.SendMessage(&sarama.ProducerMessage{Topic: topic, Partition: partition, Value: sarama.StringEncoder(value)})
	return err
}

// readAll takes what comes up to a record that is written last.
func (s *saramaClient) readAll(topic string, isolation sarama.IsolationLevel) []string {
	const last = "the last one"
	s.write(topic, 0, last)
	config := sarama.NewConfig()
	config.Consumer.MaxWaitTime = 50 * time.Millisecond
	config.Consumer.IsolationLevel = isolation
	consumer, err := sarama.NewConsumer([]string{s.address}, config)
	must(err)
	defer consumer.Close()
	messages, err := consumer.ConsumePartition(topic, 0, sarama.OffsetOldest)
	must(err)
	defer messages.Close()
	values := []string{}
	for {
		value := string(receive(messages, 1, readTimeout)[0].Value)
		if value == last {
			return values
		}
		values = append(values, value)
	}
}

func (s *saramaClient) transactions() {
	topic := s.topic("transactions", 1, nil)
	producer := s.transactional(unique("txn"))
	for turn := range 10 {
		must(producer.BeginTxn())
		for range 4 {
			must(send(producer, topic, 0, fmt.Sprint(turn%3 != 0)))
		}
		if turn%3 == 0 {
			must(producer.AbortTxn())
		} else {
			must(producer.CommitTxn())
		}
	}
	must(producer.Close())
	check("committed", s.readAll(topic, sarama.ReadCommitted), slices.Repeat([]string{"true"}, 24))
}

func (s *saramaClient) openTransaction() {
	topic := s.topic("open", 1, nil)
	s.write(topic, 0, "before")
	producer := s.transactional(unique("txn"))
	must(producer.BeginTxn())
	must(send(producer, topic, 0, "within"))
	config := sarama.NewConfig()
	config.Consumer.MaxWaitTime = 50 * time.Millisecond
	config.Consumer.IsolationLevel = sarama.ReadCommitted
	consumer, err := sarama.NewConsumer([]string{s.address}, config)
	must(err)
	messages, err := consumer.ConsumePartition(topic, 0, sarama.OffsetOldest)
	must(err)
	check("first", string(receive(messages, 1, readTimeout)[0].Value), "before")
	select {
	case message := <-messages.Messages():
		panic("read what is not committed: " + string(message.Value))
	case <-time.After(settling):
	}
	check("all", s.readAll(topic, sarama.ReadUncommitted), []string{"before", "within"})
	must(producer.CommitTxn())
	check("second", string(receive(messages, 1, readTimeout)[0].Value), "within")
	must(messages.Close())
	must(consumer.Close())
	must(producer.Close())
}

func (s *saramaClient) process() {
	from, to, group := s.topic("from", 1, nil), s.topic("to", 1, nil), unique("group")
	for i := range 20 {
		s.write(from, 0, fmt.Sprint(i))
	}
	producer := s.transactional(unique("txn"))
	for done, turn := 0, 0; done < 20; turn++ {
		records := s.read(from, 0, int64(done), 5)
		must(producer.BeginTxn())
		for _, record := range records {
			must(send(producer, to, 0, "did "+string(record.Value)))
		}
		next := []*sarama.PartitionOffsetMetadata{{Partition: 0, Offset: int64(done + 5)}}
		must(producer.AddOffsetsToTxn(map[string][]*sarama.PartitionOffsetMetadata{from: next}, group))
		if turn%2 == 0 {
			must(producer.AbortTxn())
		} else {
			must(producer.CommitTxn())
			done += 5
		}
		until("the committed offset", func() bool { return max(s.committed(group, from).Offset, 0) == int64(done) })
	}
	must(producer.Close())
	expected := []string{}
	for i := range 20 {
		expected = append(expected, fmt.Sprint("did ", i))
	}
	check("results", s.readAll(to, sarama.ReadCommitted), expected)
}

func (s *saramaClient) zombie() {
	topic, id := s.topic("zombie", 1, nil), unique("txn")
	old := s.transactional(id)
	must(old.BeginTxn())
	must(send(old, topic, 0, "old"))
	young := s.transactional(id)
	must(young.BeginTxn())
	must(send(young, topic, 0, "young"))
	check("a zombie fails", send(old, topic, 0, "zombie") != nil || old.CommitTxn() != nil, true)
	must(young.CommitTxn())
	must(young.Close())
	check("committed", s.readAll(topic, sarama.ReadCommitted), []string{"young"})
}
