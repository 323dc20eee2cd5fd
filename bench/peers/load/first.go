package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	firstAckTimeout = 10 * time.Minute // a recovery may read a whole log
	retryTime       = 5 * time.Millisecond
)

// firstAck retries every few milliseconds, so that its time is the broker's. It reports the moment, and whoever started the
// broker knows since when.
func firstAck(o *options) (result, error) {
	quick := func(int) time.Duration { return retryTime }
	client, err := producer(o, 0, kgo.AllowAutoTopicCreation(), kgo.RetryBackoffFn(quick), kgo.UnknownTopicRetries(-1),
		kgo.MetadataMinAge(10*time.Millisecond))
	if err != nil {
		return nil, err
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), firstAckTimeout)
	defer cancel()
	value := make([]byte, o.size)
	o.run.fill(value, 0)
	fmt.Fprintln(os.Stderr, "trying")
	record := &kgo.Record{Topic: o.run.topic(0), Value: value}
	if err := client.ProduceSync(ctx, record).FirstErr(); err != nil {
		return nil, err
	}
	return result{"first_ack_unix_ms": float64(time.Now().UnixMicro()) / 1e3, "broker_rss_mb": memoryMB(o.pid, "VmRSS:")}, nil
}
