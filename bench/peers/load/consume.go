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
	records, bytes, err := 0, 0, error(nil)
	observed := observe(o.pid)
	if o.raw {
		records, bytes, err = rawRead(o)
	} else {
		err = readAll(o, func(r *kgo.Record) { records++; bytes += len(r.Value) })
	}
	elapsed := time.Since(observed.began)
	out := result{"errors": int64(0)}
	observed.report(out)
	out.rates(records, bytes/max(records, 1), elapsed)
	return out, err
}

// rawRead fetches over o.conns connections, each with its share of the partitions, and counts by the batch headers.
func rawRead(o *options) (records, size int, err error) {
	want, err := recordCount(o)
	if err != nil {
		return 0, 0, err
	}
	conns, err := dialMany(o, o.conns)
	if err != nil {
		return 0, 0, err
	}
	defer closeAll(conns)
	var totalRecords, totalBytes atomic.Int64
	var running sync.WaitGroup
	failures := make([]error, o.conns)
	for i, c := range conns {
		running.Go(func() {
			next := map[int32]int64{}
			for p := i; p < o.partitions; p += o.conns {
				next[int32(p)] = 0
			}
			for len(next) > 0 && totalRecords.Load() < want {
				records, bytes, err := c.fetch(o, next)
				if err != nil {
					failures[i] = err
					return
				}
				totalRecords.Add(int64(records))
				totalBytes.Add(int64(bytes))
			}
		})
	}
	running.Wait()
	if err := errors.Join(failures...); err != nil {
		return 0, 0, err
	}
	if got := totalRecords.Load(); got != want {
		return 0, 0, fmt.Errorf("read %d records of %d", got, want)
	}
	return int(totalRecords.Load()), int(totalBytes.Load()), nil
}
