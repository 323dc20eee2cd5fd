package main

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

// idle keeps o.conns consumers polling for records that never come, as consumers of a quiet topic do.
func idle(o *options) (result, error) {
	return withTopics(o, func() (result, error) {
		conns, err := dialMany(o, o.conns)
		if err != nil {
			return nil, err
		}
		defer closeAll(conns)
		var polls atomic.Int64
		var done sync.WaitGroup
		failures := make([]error, o.conns)
		from := time.Now().Add(o.warmup)
		until := from.Add(o.seconds)
		for i, c := range conns {
			next := map[int32]int64{int32(i % o.partitions): 0}
			done.Go(func() {
				for now := time.Now(); failures[i] == nil && now.Before(until); now = time.Now() {
					_, failures[i] = c.fetch(o, next)
					if now.After(from) {
						polls.Add(1)
					}
				}
			})
		}
		out := result{}
		window(o, from, until, out)
		done.Wait()
		out["polls_s"] = float64(polls.Load()) / o.seconds.Seconds()
		return out, errors.Join(failures...)
	})
}
