package main

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// consume reads one topic from its beginning: that of an earlier run, or one it fills itself.
func consume(o *options) (result, error) {
	if o.topics != 1 {
		return nil, errors.New("consume reads one topic")
	}
	if o.existing {
		return read(o)
	}
	return withTopics(o, func() (result, error) {
		if _, err := rawStream(o); err != nil {
			return nil, err
		}
		return read(o)
	})
}

func read(o *options) (result, error) {
	want, err := offsetCount(o)
	if err != nil {
		return nil, err
	}
	var total fetched
	observed := observe(o.pid)
	if o.raw {
		total, err = rawRead(o, want)
	} else {
		err = readAll(o, func(r *kgo.Record) { total.add(fetched{1, 1, int64(len(r.Value))}) })
	}
	elapsed := time.Since(observed.began)
	out := result{"errors": int64(0)}
	observed.report(out)
	out.rates(int(total.records), int(total.bytes/max(total.records, 1)), elapsed)
	return out, err
}

// rawRead fetches so many offsets over o.conns connections, each with its share of the partitions, and counts by the batch headers.
func rawRead(o *options, want int64) (total fetched, err error) {
	conns, err := dialMany(o, o.conns)
	if err != nil {
		return total, err
	}
	defer closeAll(conns)
	totals := make([]fetched, o.conns)
	var offsets atomic.Int64
	var running sync.WaitGroup
	failures := make([]error, o.conns)
	for i, c := range conns {
		running.Go(func() {
			next := map[int32]int64{}
			for p := i; p < o.partitions; p += o.conns {
				next[int32(p)] = 0
			}
			for len(next) > 0 && offsets.Load() < want && failures[i] == nil {
				var got fetched
				got, failures[i] = c.fetch(o, next)
				offsets.Add(got.offsets)
				totals[i].add(got)
			}
		})
	}
	running.Wait()
	if err := errors.Join(failures...); err != nil {
		return total, err
	}
	for _, of := range totals {
		total.add(of)
	}
	if total.offsets != want {
		return total, fmt.Errorf("read %d offsets of %d", total.offsets, want)
	}
	return total, nil
}
