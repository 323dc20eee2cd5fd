package main

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

const compressedBatches = 16 // prepared before the clock starts: they repeat their ids, so that those can only be counted

// rawWriter hands out batch numbers to its connections; batch n holds the ids from n times perBatch on.
type rawWriter struct {
	o                 *options
	perBatch, batches int
	prepared          []batch
	began             time.Time
	every             time.Duration // from batch to batch, 0: at once
	next              atomic.Int64
	acked             idSet
}

// rawStream sends batches that cost the client as little as possible.
func rawStream(o *options) (result, error) {
	perBatch := max(1, min(o.records, o.batchBytes/(o.size+16)))
	batches := (o.records + perBatch - 1) / perBatch
	w := &rawWriter{o: o, perBatch: perBatch, batches: batches, acked: newIDSet(batches * perBatch)}
	if o.compression != "none" {
		for i := range compressedBatches {
			w.prepared = append(w.prepared, newBatch(o, uint64(i*perBatch), perBatch))
		}
	}
	conns, err := dialMany(o, o.conns)
	if err != nil {
		return nil, err
	}
	defer closeAll(conns)
	var running sync.WaitGroup
	failures := make(chan error, 2*o.conns)
	text() // made now, not under the clock
	observed := observe(o.pid)
	w.began = observed.began
	if o.pace > 0 {
		w.every = time.Duration(perBatch) * time.Second / time.Duration(o.pace)
	}
	for _, c := range conns {
		inFlight := make(chan int64, o.inflight) // batch numbers awaiting their ack, in order
		slots := make(chan struct{}, o.inflight)
		running.Go(func() { failures <- w.write(c, inFlight, slots) })
		running.Go(func() { failures <- w.readAcks(c, inFlight, slots) })
	}
	running.Wait()
	elapsed := time.Since(observed.began)
	for range 2 * o.conns {
		if err := <-failures; err != nil {
			return nil, err
		}
	}
	out := result{"errors": int64(0), "records_per_batch": float64(perBatch)}
	observed.report(out)
	out.rates(batches*perBatch, o.size, elapsed)
	if o.verify && o.compression != "none" {
		count, err := offsetCount(o)
		out["acked"], out["read"], out["verified"] = batches*perBatch, count, count == int64(batches*perBatch)
		return out, err
	}
	return out, verifyIf(o, w.acked, out)
}

func (w *rawWriter) write(c *conn, inFlight chan<- int64, slots chan<- struct{}) error {
	defer close(inFlight)
	b := newBatch(w.o, 0, w.perBatch)
	for {
		slots <- struct{}{}
		number := w.next.Add(1) - 1
		if number >= int64(w.batches) {
			return nil
		}
		if w.prepared != nil {
			b = w.prepared[number%compressedBatches]
		} else {
			b.renumber(w.o, uint64(number)*uint64(w.perBatch))
		}
		time.Sleep(time.Until(w.began.Add(time.Duration(number) * w.every)))
		turn := int(number) % (w.o.topics * w.o.partitions)
		_, encoded := c.produceRequest(w.o, turn/w.o.partitions, turn%w.o.partitions, b.bytes)
		if _, err := c.Write(encoded); err != nil {
			return err
		}
		inFlight <- number
	}
}

func (w *rawWriter) readAcks(c *conn, inFlight <-chan int64, slots <-chan struct{}) error {
	response := kmsg.NewPtrProduceResponse()
	response.Version = c.version(response.Key(), maxProduceVersion)
	for number := range inFlight {
		if err := c.receiveAck(response); err != nil {
			c.Close() // the writer's next send fails, and it closes inFlight
			<-slots
			for range inFlight {
				<-slots
			}
			return err
		}
		for i := range uint64(w.perBatch) {
			w.acked.add(uint64(number)*uint64(w.perBatch) + i)
		}
		<-slots
	}
	return nil
}
