package main

import (
	"bytes"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// closedConns gives each of o.conc connections one prepared request, whose id and checksum change from send to send.
func closedConns(o *options) (result, error) {
	return withTopics(o, func() (result, error) {
		conns, err := dialMany(o, o.conc)
		if err != nil {
			return nil, err
		}
		defer closeAll(conns)
		acked := newIDSet(maxIDs(o))
		samplesOf := make([]latencies, o.conc)
		failures := make([]error, o.conc)
		var nextID atomic.Uint64
		var done sync.WaitGroup
		from := time.Now().Add(o.warmup)
		until := from.Add(o.seconds)
		for i, c := range conns {
			done.Go(func() {
				next := func() uint64 { return nextID.Add(1) - 1 }
				failures[i] = c.closedLoop(o, i%o.partitions, until, next, func(id uint64, sent, now time.Time) {
					acked.add(id)
					if now.After(from) && now.Before(until) {
						samplesOf[i].add(now.Sub(sent))
					}
				})
			})
		}
		out := result{}
		window(o, from, until, out)
		done.Wait()
		if err := errors.Join(failures...); err != nil {
			return nil, err
		}
		out["errors"] = int64(0)
		var samples latencies
		for _, of := range samplesOf {
			samples = append(samples, of...)
		}
		out.rates(len(samples), o.size, o.seconds)
		samples.report(out)
		return out, verifyIf(o, acked, out)
	})
}

// closedLoop sends the next record when the last one is acked, until then.
func (c *conn) closedLoop(o *options, partition int, until time.Time, next func() uint64, acked func(id uint64, sent, now time.Time)) error {
	b := newBatch(o, 0, 1)
	request, encoded := c.produceRequest(o, 0, partition, b.bytes)
	b.bytes = encoded[bytes.Index(encoded, b.bytes):][:len(b.bytes)]
	response := request.ResponseKind().(*kmsg.ProduceResponse)
	for sent := time.Now(); sent.Before(until); {
		id := next()
		b.renumber(o, id)
		if _, err := c.Write(encoded); err != nil {
			return err
		}
		if err := c.receiveAck(response); err != nil {
			return err
		}
		now := time.Now()
		acked(id, sent, now)
		sent = now
	}
	return nil
}
