package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

func franzGroupCases(address string) cases {
	client, err := kgo.NewClient(kgo.SeedBrokers(address))
	must(err)
	f := &franz{address, kadm.NewClient(client)}
	return cases{
		"share":            f.share(kgo.Balancers(kgo.RangeBalancer())),
		"new-protocol":     f.share(kgo.ServerSideBalancer()),
		"cooperative":      f.share(kgo.Balancers(kgo.CooperativeStickyBalancer())),
		"vanish":           f.vanish,
		"resume":           f.resume,
		"commit-metadata":  f.commitMetadata,
		"static":           f.static,
		"list-groups":      f.listGroups,
		"alter-offsets":    f.alterOffsets,
		"delete-group":     f.deleteGroup,
		"transactions":     f.transactions,
		"open-transaction": f.openTransaction,
		"process":          f.process,
		"zombie":           f.zombie,
	}
}

// franzMember is polled all the time, and knows what it was assigned.
type franzMember struct {
	client     *kgo.Client
	mutex      sync.Mutex
	values     []string
	partitions map[int32]bool
	stop       context.CancelFunc
	stopped    chan struct{}
}

func (f *franz) member(group, topic string, options ...kgo.Opt) *franzMember {
	m := &franzMember{partitions: map[int32]bool{}, stopped: make(chan struct{})}
	change := func(has bool) func(context.Context, *kgo.Client, map[string][]int32) {
		return func(_ context.Context, _ *kgo.Client, changed map[string][]int32) {
			m.mutex.Lock()
			defer m.mutex.Unlock()
			for _, partition := range changed[topic] {
				if has {
					m.partitions[partition] = true
				} else {
					delete(m.partitions, partition)
				}
			}
		}
	}
	client, err := kgo.NewClient(append([]kgo.Opt{
		kgo.SeedBrokers(f.address), kgo.ConsumerGroup(group), kgo.ConsumeTopics(topic), kgo.DisableAutoCommit(),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.SessionTimeout(6 * time.Second), kgo.HeartbeatInterval(200 * time.Millisecond),
		kgo.OnPartitionsAssigned(change(true)), kgo.OnPartitionsRevoked(change(false)), kgo.OnPartitionsLost(change(false)),
	}, options...)...)
	must(err)
	m.client = client
	ctx, cancel := context.WithCancel(context.Background())
	m.stop = cancel
	go m.poll(ctx)
	return m
}

func (m *franzMember) poll(ctx context.Context) {
	defer close(m.stopped)
	for ctx.Err() == nil {
		fetches := m.client.PollFetches(ctx)
		m.mutex.Lock()
		fetches.EachRecord(func(record *kgo.Record) { m.values = append(m.values, string(record.Value)) })
		m.mutex.Unlock()
	}
}

func (m *franzMember) count() int {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	return len(m.partitions)
}

func (m *franzMember) read() []string {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	return slices.Clone(m.values)
}

func (m *franzMember) close() {
	m.stop()
	<-m.stopped
	m.client.Close()
}

func (f *franz) write(topic string, partition int32, values ...string) {
	var records []*kgo.Record
	for _, value := range values {
		records = append(records, &kgo.Record{Topic: topic, Partition: partition, Value: []byte(value)})
	}
	must(f.produce(records))
}

func (f *franz) share(how kgo.Opt) func() {
	return func() {
		topic, group := f.topic("shared", 4, nil), unique("group")
		first := f.member(group, topic, how)
		until("all for the first", func() bool { return first.count() == 4 })
		second := f.member(group, topic, how)
		until("half for each", func() bool { return first.count() == 2 && second.count() == 2 })
		for partition := range int32(4) {
			f.write(topic, partition, fmt.Sprint(partition))
		}
		until("all is read", func() bool { return len(first.read())+len(second.read()) == 4 })
		values := append(first.read(), second.read()...)
		slices.Sort(values)
		check("values", values, []string{"0", "1", "2", "3"})
		second.close()
		until("all for the first again", func() bool { return first.count() == 4 })
		first.close()
	}
}

func (f *franz) vanish() {
	topic, group := f.topic("vanish", 2, nil), unique("group")
	// It says nothing when it is closed, as a static member, and nobody comes for it.
	gone, stays := f.member(group, topic, kgo.InstanceID("gone")), f.member(group, topic)
	until("half for each", func() bool { return gone.count() == 1 && stays.count() == 1 })
	gone.close()
	until("all for the second", func() bool { return stays.count() == 2 })
	stays.close()
}

func (f *franz) resume() {
	topic, group := f.topic("resume", 1, nil), unique("group")
	f.write(topic, 0, "a", "b")
	before := f.member(group, topic)
	until("both are read", func() bool { return len(before.read()) == 2 })
	must(before.client.CommitUncommittedOffsets(context.Background()))
	before.close()
	f.write(topic, 0, "c")
	after := f.member(group, topic)
	until("the rest", func() bool { return len(after.read()) > 0 })
	check("values", after.read(), []string{"c"})
	after.close()
}

func (f *franz) offsets(group string) kadm.OffsetResponses {
	offsets, err := f.admin.FetchOffsets(context.Background(), group)
	must(err)
	return offsets
}

func (f *franz) commitMetadata() {
	topic, group := f.topic("commit", 1, nil), unique("group")
	var offsets kadm.Offsets
	offsets.Add(kadm.Offset{Topic: topic, Partition: 0, At: 1, LeaderEpoch: 0, Metadata: "a note: ä"})
	answer, err := f.admin.CommitOffsets(context.Background(), group, offsets)
	must(err)
	must(answer.Error())
	kept, _ := f.offsets(group).Lookup(topic, 0)
	check("offset", []any{kept.At, kept.LeaderEpoch, kept.Metadata}, []any{int64(1), int32(0), "a note: ä"})
}

func (f *franz) static() {
	topic, group := f.topic("static", 2, nil), unique("group")
	first, second := f.member(group, topic, kgo.InstanceID("a")), f.member(group, topic, kgo.InstanceID("b"))
	until("one for each", func() bool { return first.count() == 1 && second.count() == 1 })
	_, generation := first.client.GroupMetadata()
	second.close()
	again := f.member(group, topic, kgo.InstanceID("b"))
	until("its partition", func() bool { return again.count() == 1 })
	_, now := again.client.GroupMetadata()
	check("generation", now, generation)
	again.close()
	first.close()
}

func (f *franz) listGroups() {
	topic, group := f.topic("list", 2, nil), unique("group")
	member := f.member(group, topic, kgo.ClientID("me"))
	until("all for it", func() bool { return member.count() == 2 })
	listed, err := f.admin.ListGroups(context.Background(), "Stable")
	must(err)
	check("listed", listed[group].ProtocolType, "consumer")
	described, err := f.admin.DescribeGroups(context.Background(), group)
	must(err)
	check("state", described[group].State, "Stable")
	assigned, _ := described[group].Members[0].Assigned.AsConsumer()
	check("assigned", len(assigned.Topics[0].Partitions), 2)
	check("member", described[group].Members[0].ClientID, "me")
	lags, err := f.admin.Lag(context.Background(), group)
	must(err)
	check("lag", lags[group].Lag.Total(), int64(0))
	member.close()
}

func (f *franz) alterOffsets() {
	topic, group := f.topic("alter", 1, nil), unique("group")
	f.write(topic, 0, "a", "b", "c")
	var offsets kadm.Offsets
	offsets.AddOffset(topic, 0, 2, -1)
	must(f.admin.CommitAllOffsets(context.Background(), group, offsets))
	member := f.member(group, topic)
	until("the rest", func() bool { return len(member.read()) > 0 })
	check("values", member.read(), []string{"c"})
	member.close()
	var all kadm.TopicsSet
	all.Add(topic, 0)
	_, err := f.admin.DeleteOffsets(context.Background(), group, all)
	must(err)
	check("offsets left", len(f.offsets(group)), 0)
}

func (f *franz) deleteGroup() {
	topic, group := f.topic("delete", 1, nil), unique("group")
	member := f.member(group, topic)
	until("its partition", func() bool { return member.count() == 1 })
	delete := func() error {
		answer, err := f.admin.DeleteGroup(context.Background(), group)
		if err != nil {
			return err
		}
		return answer.Err
	}
	check("with a member", errors.Is(delete(), kerr.NonEmptyGroup), true)
	member.close()
	must(delete())
	check("again", errors.Is(delete(), kerr.GroupIDNotFound), true)
}

func (f *franz) transactional(id string) *kgo.Client {
	client, err := kgo.NewClient(kgo.SeedBrokers(f.address), kgo.TransactionalID(id), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	must(err)
	return client
}

func end(client *kgo.Client, commit kgo.TransactionEndTry) {
	must(client.Flush(context.Background()))
	must(client.EndTransaction(context.Background(), commit))
}

func (f *franz) readAll(topic string, partitions int32, isolation kgo.IsolationLevel) []string {
	list := f.admin.ListEndOffsets
	if isolation == kgo.ReadCommitted() {
		list = f.admin.ListCommittedOffsets
	}
	ends, err := list(context.Background(), topic)
	must(err)
	client := f.reader(topic, kgo.NewOffset().AtStart(), partitions, kgo.FetchIsolationLevel(isolation), kgo.KeepControlRecords())
	defer client.Close()
	values, at := []string{}, map[int32]int64{}
	until("the end", func() bool {
		ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
		defer cancel()
		client.PollFetches(ctx).EachRecord(func(record *kgo.Record) {
			at[record.Partition] = record.Offset + 1
			if !record.Attrs.IsControl() {
				values = append(values, string(record.Value))
			}
		})
		for partition := range partitions {
			if end, _ := ends.Lookup(topic, partition); at[partition] < end.Offset {
				return false
			}
		}
		return true
	})
	return values
}

func (f *franz) transactions() {
	topic, ctx := f.topic("transactions", 2, nil), context.Background()
	client := f.transactional(unique("txn"))
	for turn := range 10 {
		must(client.BeginTransaction())
		for i := range int32(4) {
			value := fmt.Sprint(turn%3 != 0)
			must(client.ProduceSync(ctx, &kgo.Record{Topic: topic, Partition: i % 2, Value: []byte(value)}).FirstErr())
		}
		end(client, kgo.TransactionEndTry(turn%3 != 0))
	}
	client.Close()
	check("committed", slices.Repeat([]string{"true"}, 24), f.readAll(topic, 2, kgo.ReadCommitted()))
	check("all", len(f.readAll(topic, 2, kgo.ReadUncommitted())), 40)
}

func (f *franz) openTransaction() {
	topic := f.topic("open", 1, nil)
	f.write(topic, 0, "before")
	client := f.transactional(unique("txn"))
	must(client.BeginTransaction())
	must(client.ProduceSync(context.Background(), &kgo.Record{Topic: topic, Value: []byte("within")}).FirstErr())
	f.write(topic, 0, "behind")
	check("committed", f.readAll(topic, 1, kgo.ReadCommitted()), []string{"before"})
	check("all", f.readAll(topic, 1, kgo.ReadUncommitted()), []string{"before", "within", "behind"})
	end(client, kgo.TryCommit)
	check("committed", f.readAll(topic, 1, kgo.ReadCommitted()), []string{"before", "within", "behind"})
	client.Close()
}

// process is what the session is for: it aborts by itself when its group rebalances.
func (f *franz) process() {
	from, to, group := f.topic("from", 1, nil), f.topic("to", 1, nil), unique("group")
	for i := range 20 {
		f.write(from, 0, fmt.Sprint(i))
	}
	session, err := kgo.NewGroupTransactSession(
		kgo.SeedBrokers(f.address), kgo.TransactionalID(unique("txn")), kgo.ConsumerGroup(group), kgo.ConsumeTopics(from),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.RequireStableFetchOffsets(),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
	)
	must(err)
	ctx, cancel := context.WithTimeout(context.Background(), readTimeout)
	defer cancel()
	for done, turn := 0, 0; done < 20; turn++ {
		fetches := session.PollRecords(ctx, 4)
		must(fetches.Err())
		must(session.Begin())
		fetches.EachRecord(func(record *kgo.Record) {
			session.Produce(ctx, &kgo.Record{Topic: to, Value: append([]byte("did "), record.Value...)}, nil)
		})
		committed, err := session.End(ctx, kgo.TransactionEndTry(turn%2 != 0))
		must(err)
		if committed {
			done += fetches.NumRecords()
		}
		kept, _ := f.offsets(group).Lookup(from, 0)
		check("committed", max(kept.At, 0), int64(done))
	}
	session.Close()
	expected := []string{}
	for i := range 20 {
		expected = append(expected, fmt.Sprint("did ", i))
	}
	check("results", f.readAll(to, 1, kgo.ReadCommitted()), expected)
}

func (f *franz) zombie() {
	topic, id, ctx := f.topic("zombie", 1, nil), unique("txn"), context.Background()
	old, young := f.transactional(id), f.transactional(id)
	must(old.BeginTransaction())
	must(old.ProduceSync(ctx, &kgo.Record{Topic: topic, Value: []byte("old")}).FirstErr())
	must(young.BeginTransaction())
	must(young.ProduceSync(ctx, &kgo.Record{Topic: topic, Value: []byte("young")}).FirstErr())
	err := old.EndTransaction(ctx, kgo.TryCommit)
	check("fenced", errors.Is(err, kerr.ProducerFenced) || errors.Is(err, kerr.InvalidProducerEpoch), true)
	end(young, kgo.TryCommit)
	check("committed", f.readAll(topic, 1, kgo.ReadCommitted()), []string{"young"})
	old.Close()
	young.Close()
}
