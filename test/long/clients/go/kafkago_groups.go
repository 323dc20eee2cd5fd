package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/segmentio/kafka-go"
)

// The groups of kafka-go speak the oldest versions: no member ids that are asked for, no instances.
func kafkaGoGroupCases(address string) cases {
	k := &kafkaGo{address, &kafka.Client{Addr: kafka.TCP(address), Timeout: readTimeout}}
	return cases{
		"share":           k.share,
		"vanish":          k.vanish,
		"resume":          k.resume,
		"commit-metadata": k.commitMetadata,
		"list-groups":     k.listGroups,
		"alter-offsets":   k.alterOffsets,
		"delete-group":    k.deleteGroup,
	}
}

type kafkaGoMember struct {
	reader  *kafka.Reader
	mutex   sync.Mutex
	values  []string
	stop    context.CancelFunc
	stopped chan struct{}
}

func (k *kafkaGo) member(group, topic string) *kafkaGoMember {
	reader := kafka.NewReader(kafka.ReaderConfig{
		Brokers: []string{k.address}, GroupID: group, Topic: topic, StartOffset: kafka.FirstOffset,
		MaxWait: 100 * time.Millisecond, HeartbeatInterval: 200 * time.Millisecond, SessionTimeout: 6 * time.Second,
		RebalanceTimeout: 6 * time.Second, JoinGroupBackoff: 200 * time.Millisecond,
	})
	ctx, cancel := context.WithCancel(context.Background())
	m := &kafkaGoMember{reader: reader, stop: cancel, stopped: make(chan struct{})}
	go func() {
		defer close(m.stopped)
		for {
			message, err := reader.FetchMessage(ctx)
			if err != nil {
				return
			}
			m.mutex.Lock()
			m.values = append(m.values, string(message.Value))
			m.mutex.Unlock()
			_ = reader.CommitMessages(ctx, message)
		}
	}()
	return m
}

func (m *kafkaGoMember) read() []string {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	return slices.Clone(m.values)
}

func (m *kafkaGoMember) close() {
	m.stop()
	<-m.stopped
	must(m.reader.Close())
}

func (k *kafkaGo) described(group string) kafka.DescribeGroupsResponseGroup {
	answer, err := k.client.DescribeGroups(context.Background(), &kafka.DescribeGroupsRequest{GroupIDs: []string{group}})
	must(err)
	return answer.Groups[0]
}

// shares tells how many partitions each member of a stable group has.
func (k *kafkaGo) shares(group string) []int {
	shares := []int{}
	described := k.described(group)
	if described.GroupState != "Stable" {
		return shares
	}
	for _, member := range described.Members {
		for _, topic := range member.MemberAssignments.Topics {
			shares = append(shares, len(topic.Partitions))
		}
	}
	return shares
}

func (k *kafkaGo) shared(group string, shares ...int) func() bool {
	return func() bool { return slices.Equal(k.shares(group), shares) }
}

func (k *kafkaGo) write(topic string, partition int, values ...string) {
	var messages []kafka.Message
	for _, value := range values {
		messages = append(messages, kafka.Message{Value: []byte(value), HighWaterMark: int64(partition)})
	}
	must(k.produce(topic, messages))
}

func (k *kafkaGo) share() {
	topic, group := k.topic("shared", 4), unique("group")
	first := k.member(group, topic)
	until("all for the first", k.shared(group, 4))
	second := k.member(group, topic)
	until("half for each", k.shared(group, 2, 2))
	for partition := range 4 {
		k.write(topic, partition, fmt.Sprint(partition))
	}
	until("all is read", func() bool { return len(first.read())+len(second.read()) == 4 })
	values := append(first.read(), second.read()...)
	slices.Sort(values)
	check("values", values, []string{"0", "1", "2", "3"})
	second.close()
	until("all for the first again", k.shared(group, 4))
	first.close()
}

func (k *kafkaGo) vanish() {
	topic, group := k.topic("vanish", 2), unique("group")
	// It joins and never asks for its assignment.
	_, err := k.client.JoinGroup(context.Background(), &kafka.JoinGroupRequest{
		GroupID: group, SessionTimeout: 6 * time.Second, RebalanceTimeout: 6 * time.Second, ProtocolType: "consumer",
		Protocols: []kafka.GroupProtocol{{Name: "range", Metadata: kafka.GroupProtocolSubscription{Topics: []string{topic}}}},
	})
	must(err)
	stays := k.member(group, topic)
	until("all for the second", k.shared(group, 2))
	stays.close()
}

func (k *kafkaGo) resume() {
	topic, group := k.topic("resume", 1), unique("group")
	k.write(topic, 0, "a", "b")
	before := k.member(group, topic)
	until("both are committed", func() bool { return k.committed(group, topic) == 2 })
	before.close()
	k.write(topic, 0, "c")
	after := k.member(group, topic)
	until("the rest", func() bool { return len(after.read()) > 0 })
	check("values", after.read(), []string{"c"})
	after.close()
}

func (k *kafkaGo) fetched(group, topic string) kafka.OffsetFetchPartition {
	answer, err := k.client.OffsetFetch(context.Background(), &kafka.OffsetFetchRequest{GroupID: group, Topics: map[string][]int{topic: {0}}})
	must(err)
	return answer.Topics[topic][0]
}

func (k *kafkaGo) committed(group, topic string) int64 {
	return k.fetched(group, topic).CommittedOffset
}

func (k *kafkaGo) commit(group, topic string, offset int64, note string) {
	answer, err := k.client.OffsetCommit(context.Background(), &kafka.OffsetCommitRequest{
		GroupID: group, GenerationID: -1,
		Topics: map[string][]kafka.OffsetCommit{topic: {{Partition: 0, Offset: offset, Metadata: note}}},
	})
	must(err)
	must(answer.Topics[topic][0].Error)
}

func (k *kafkaGo) commitMetadata() {
	topic, group := k.topic("commit", 1), unique("group")
	k.commit(group, topic, 1, "a note: ä")
	kept := k.fetched(group, topic)
	check("offset", []any{kept.CommittedOffset, kept.Metadata}, []any{int64(1), "a note: ä"})
}

func (k *kafkaGo) listGroups() {
	topic, group := k.topic("list", 2), unique("group")
	member := k.member(group, topic)
	until("all for it", k.shared(group, 2))
	answer, err := k.client.ListGroups(context.Background(), &kafka.ListGroupsRequest{})
	must(err)
	check("listed", slices.ContainsFunc(answer.Groups, func(one kafka.ListGroupsResponseGroup) bool { return one.GroupID == group }), true)
	described := k.described(group)
	check("topics", described.Members[0].MemberMetadata.Topics, []string{topic})
	member.close()
}

func (k *kafkaGo) alterOffsets() {
	topic, group := k.topic("alter", 1), unique("group")
	k.write(topic, 0, "a", "b", "c")
	k.commit(group, topic, 2, "")
	member := k.member(group, topic)
	until("the rest", func() bool { return len(member.read()) > 0 })
	check("values", member.read(), []string{"c"})
	member.close()
}

func (k *kafkaGo) deleteGroup() {
	topic, group := k.topic("delete", 1), unique("group")
	member := k.member(group, topic)
	until("its partition", k.shared(group, 1))
	remove := func() error {
		answer, err := k.client.DeleteGroups(context.Background(), &kafka.DeleteGroupsRequest{GroupIDs: []string{group}})
		must(err)
		return answer.Errors[group]
	}
	check("with a member", errors.Is(remove(), kafka.NonEmptyGroup), true)
	member.close()
	until("its end", func() bool { return k.described(group).GroupState == "Empty" })
	must(remove())
	check("again", errors.Is(remove(), kafka.GroupIdNotFound), true)
}
