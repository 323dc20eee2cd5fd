package main

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

const valuesPerAllocation = 1024

// stream measures from the first produce to the last ack.
func stream(o *options) (result, error) {
	return withTopics(o, func() (result, error) {
		if o.raw {
			return rawStream(o)
		}
		var written batchCounter
		client, err := producer(o, o.linger, kgo.WithHooks(&written), kgo.MaxBufferedRecords(200_000), kgo.MaxBufferedBytes(64<<20))
		if err != nil {
			return nil, err
		}
		defer client.Close()
		acked := newIDSet(o.records)
		var errors int64
		var values []byte
		topics := topicNames(o)
		text() // made now, not under the clock
		observed := observe(o.pid)
		for id := range uint64(o.records) {
			if len(values) < o.size {
				values = make([]byte, valuesPerAllocation*o.size)
			}
			value := values[:o.size:o.size]
			values = values[o.size:]
			o.run.fill(value, id)
			turn := int(id % uint64(o.topics*o.partitions))
			record := &kgo.Record{Topic: topics[turn/o.partitions], Partition: int32(turn % o.partitions), Value: value}
			client.Produce(context.Background(), record, func(_ *kgo.Record, err error) {
				if err != nil {
					errors++
				} else {
					acked.add(id)
				}
			})
		}
		if err := client.Flush(context.Background()); err != nil {
			return nil, err
		}
		elapsed := time.Since(observed.began)
		out := result{"errors": errors}
		observed.report(out)
		written.report(out)
		out.rates(o.records, o.size, elapsed)
		return out, verifyIf(o, acked, out)
	})
}
