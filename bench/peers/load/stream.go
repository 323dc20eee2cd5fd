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
		primed := o.prime * o.topics * o.partitions
		s, err := newStreamer(o, topicNames(o), newIDSet(primed+o.records), kgo.WithHooks(&written))
		if err != nil {
			return nil, err
		}
		defer s.client.Close()
		if err := s.send(0, primed); err != nil {
			return nil, err
		}
		written.reset()
		observed := observe(o.pid)
		if err := s.send(primed, primed+o.records); err != nil {
			return nil, err
		}
		elapsed := time.Since(observed.began)
		out := result{"errors": s.errors}
		observed.report(out)
		written.report(out)
		out.rates(o.records, o.size, elapsed)
		return out, verifyIf(o, s.acked, out)
	})
}

type streamer struct {
	o      *options
	client *kgo.Client
	topics []string
	acked  idSet
	errors int64 // written by the callbacks, which kgo calls one at a time, and read after a flush
}

func newStreamer(o *options, topics []string, acked idSet, more ...kgo.Opt) (*streamer, error) {
	client, err := producer(o, o.linger, append(more, kgo.MaxBufferedRecords(200_000), kgo.MaxBufferedBytes(64<<20))...)
	text() // made now, not under the clock
	return &streamer{o: o, client: client, topics: topics, acked: acked}, err
}

// send writes the records with the ids of a range, round robin over all partitions, and waits for their acks.
func (s *streamer) send(from, to int) error {
	size, partitions := s.o.size, s.o.partitions
	var values []byte
	for id := uint64(from); id < uint64(to); id++ {
		if len(values) < size {
			values = make([]byte, valuesPerAllocation*size)
		}
		value := values[:size:size]
		values = values[size:]
		s.o.run.fill(value, id)
		turn := int(id % uint64(len(s.topics)*partitions))
		record := &kgo.Record{Topic: s.topics[turn/partitions], Partition: int32(turn % partitions), Value: value}
		s.client.Produce(context.Background(), record, func(_ *kgo.Record, err error) {
			if err != nil {
				s.errors++
			} else {
				s.acked.add(id)
			}
		})
	}
	return s.client.Flush(context.Background())
}
