package main

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

const deliveryTimeout = 30 * time.Second

// endToEnd paces records and measures until the consumer of the same process holds each.
func endToEnd(o *options) (result, error) {
	return withTopics(o, func() (result, error) {
		topic := o.run.topic(0)
		client, err := producer(o, 0, kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
		if err != nil {
			return nil, err
		}
		defer client.Close()
		count := int((o.warmup + o.seconds).Seconds() * float64(o.rate))
		warm := int(o.warmup.Seconds() * float64(o.rate))
		sent := make([]atomic.Int64, count) // nanoseconds since began
		acked := newIDSet(count)
		var errors atomic.Int64
		var samples latencies
		text() // made now, not under the clock
		began := time.Now()
		consumed := make(chan error, 1)
		go func() {
			consumed <- awaitRecords(o, client, count, func(id uint64) {
				if id >= uint64(warm) {
					samples.add(time.Since(began) - time.Duration(sent[id].Load()))
				}
			})
		}()
		observed := observe(o.pid)
		for id := range count {
			time.Sleep(time.Until(began.Add(time.Duration(id) * time.Second / time.Duration(o.rate))))
			value := make([]byte, o.size)
			o.run.fill(value, uint64(id))
			sent[id].Store(int64(time.Since(began)))
			record := &kgo.Record{Topic: topic, Partition: int32(id % o.partitions), Value: value}
			client.Produce(context.Background(), record, func(_ *kgo.Record, err error) {
				if err != nil {
					errors.Add(1)
				} else {
					acked.add(uint64(id))
				}
			})
		}
		if err := <-consumed; err != nil {
			return nil, err
		}
		out := result{"errors": errors.Load()}
		observed.report(out)
		out.rates(count, o.size, time.Since(observed.began))
		samples.report(out)
		return out, verifyIf(o, acked, out)
	})
}

func awaitRecords(o *options, client *kgo.Client, count int, each func(id uint64)) error {
	ctx, cancel := context.WithTimeout(context.Background(), o.warmup+o.seconds+deliveryTimeout)
	defer cancel()
	for got := 0; got < count; {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return fmt.Errorf("%d of %d records arrived: %w", got, count, err)
		}
		var foreign error
		fetches.EachRecord(func(r *kgo.Record) {
			got++
			if id, ok := o.run.read(r.Value); ok && id < uint64(count) {
				each(id)
			} else {
				foreign = fmt.Errorf("the record at offset %d is not one of this run", r.Offset)
			}
		})
		if foreign != nil {
			return foreign
		}
	}
	return nil
}
