package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	adminTimeout   = 2 * time.Minute
	topicsPerAsk   = 500 // Kafka's controller refuses to change more than 10,000 records at once
	leaderPollTime = 20 * time.Millisecond
	patience       = time.Minute // with a slow broker: a retry would measure something else
)

func baseOptions(o *options) []kgo.Opt {
	return []kgo.Opt{kgo.SeedBrokers(strings.Split(o.brokers, ",")...), kgo.ClientID("load"), kgo.RequestTimeoutOverhead(patience)}
}

func topicNames(o *options) []string {
	names := make([]string, o.topics)
	for i := range names {
		names[i] = o.run.topic(i)
	}
	return names
}

func admin(o *options) (*kadm.Client, error) {
	client, err := kgo.NewClient(baseOptions(o)...)
	if err != nil {
		return nil, err
	}
	return kadm.NewClient(client), nil
}

// offsetCount is the number of offsets from the start to the end of all partitions: their records, and markers of transactions.
func offsetCount(o *options) (count int64, err error) {
	client, err := admin(o)
	if err != nil {
		return 0, err
	}
	defer client.Close()
	for names := range slices.Chunk(topicNames(o), topicsPerAsk) {
		start, err := client.ListStartOffsets(context.Background(), names...)
		if err != nil {
			return 0, err
		}
		end, err := client.ListEndOffsets(context.Background(), names...)
		if err != nil {
			return 0, err
		}
		if err := errors.Join(start.Error(), end.Error()); err != nil {
			return 0, err
		}
		end.Each(func(e kadm.ListedOffset) {
			s, _ := start.Lookup(e.Topic, e.Partition)
			count += e.Offset - s.Offset
		})
	}
	return count, nil
}

// withTopics runs a mode against new topics and deletes them afterwards.
func withTopics(o *options, mode func() (result, error)) (result, error) {
	client, err := admin(o)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), adminTimeout)
	defer cancel()
	for names := range slices.Chunk(topicNames(o), topicsPerAsk) {
		made, err := client.CreateTopics(ctx, int32(o.partitions), 1, nil, names...)
		if err = errors.Join(err, made.Error()); err != nil {
			return nil, fmt.Errorf("creating topics: %w", err)
		}
		if !o.keep {
			defer client.DeleteTopics(context.Background(), names...)
		}
		if err := untilLed(ctx, client, names, o.partitions); err != nil {
			return nil, err
		}
	}
	return mode()
}

// untilLed waits until each partition has a leader.
func untilLed(ctx context.Context, client *kadm.Client, names []string, partitions int) error {
	for {
		start, err := client.ListStartOffsets(ctx, names...)
		led := 0
		start.Each(func(kadm.ListedOffset) { led++ })
		if err == nil && start.Error() == nil && led == len(names)*partitions {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%d of %d partitions have a leader: %w", led, len(names)*partitions, errors.Join(err, ctx.Err()))
		case <-time.After(leaderPollTime):
		}
	}
}
