package main

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// producer sends each record to the topic and partition that it names.
func producer(o *options, linger time.Duration, more ...kgo.Opt) (*kgo.Client, error) {
	opts := append(baseOptions(o), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.RequiredAcks(acksOf[o.acks]),
		kgo.ProducerLinger(linger), kgo.ProducerBatchMaxBytes(int32(o.batchBytes)), kgo.ProducerBatchCompression(codecOf[o.compression]))
	if !o.idempotent {
		opts = append(opts, kgo.DisableIdempotentWrite(), kgo.MaxProduceRequestsInflightPerBroker(o.inflight))
	}
	return kgo.NewClient(append(opts, more...)...)
}

// batchCounter is told of each batch that franz-go writes: with small records the broker's work goes by batches.
type batchCounter struct{ batches, records atomic.Int64 }

func (c *batchCounter) OnProduceBatchWritten(_ kgo.BrokerMetadata, _ string, _ int32, m kgo.ProduceBatchMetrics) {
	c.batches.Add(1)
	c.records.Add(int64(m.NumRecords))
}

func (c *batchCounter) reset() {
	c.batches.Store(0)
	c.records.Store(0)
}

func (c *batchCounter) report(r result) {
	r["records_per_batch"] = float64(c.records.Load()) / float64(max(1, c.batches.Load()))
}

// maxIDs bounds the ids of a timed mode: far above what any broker acks in that time.
func maxIDs(o *options) int { return int((o.warmup+o.seconds).Seconds()*1e6) + o.conc }

// closed keeps o.conc records in flight on one client. The next send starts in the callback of an ack: no goroutine has to wake.
func closed(o *options) (result, error) {
	return withTopics(o, func() (result, error) {
		var written batchCounter
		client, err := producer(o, 0, kgo.WithHooks(&written))
		if err != nil {
			return nil, err
		}
		defer client.Close()
		acked := newIDSet(maxIDs(o))
		var samples latencies
		var errors int64
		var nextID atomic.Uint64
		var inFlight sync.WaitGroup
		topic := o.run.topic(0)
		from := time.Now().Add(o.warmup)
		until := from.Add(o.seconds)

		var send func(value []byte)
		send = func(value []byte) {
			id := nextID.Add(1) - 1
			o.run.fill(value, id)
			sent := time.Now()
			record := &kgo.Record{Topic: topic, Partition: int32(id % uint64(o.partitions)), Value: value}
			client.Produce(context.Background(), record, func(_ *kgo.Record, err error) { // one at a time, says kgo
				now := time.Now()
				if err != nil {
					errors++
				} else {
					acked.add(id)
					if now.After(from) && now.Before(until) {
						samples.add(now.Sub(sent))
					}
				}
				if now.After(until) {
					inFlight.Done()
				} else {
					send(value)
				}
			})
		}
		inFlight.Add(o.conc)
		for range o.conc {
			send(make([]byte, o.size))
		}
		out := result{}
		window(o, from, until, out)
		inFlight.Wait()
		out["errors"] = errors
		written.report(out)
		out.rates(len(samples), o.size, o.seconds)
		samples.report(out)
		return out, verifyIf(o, acked, out)
	})
}
