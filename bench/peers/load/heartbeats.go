package main

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

const (
	membersPerGroup = 3
	heartbeatTime   = 3 * time.Second // Kafka's heartbeat.interval.ms
)

// heartbeats keeps o.conns members, three to a group, heartbeating as consumers do, evenly spread over the interval.
func heartbeats(o *options) (result, error) {
	if o.conns%membersPerGroup != 0 {
		return nil, fmt.Errorf("--conns is a multiple of %d", membersPerGroup)
	}
	o.partitions = membersPerGroup
	return withTopics(o, func() (result, error) {
		conns, err := dialMany(o, o.conns)
		if err != nil {
			return nil, err
		}
		defer closeAll(conns)
		groups, err := newGroups(o, conns)
		if err != nil {
			return nil, err
		}
		samplesOf := make([]latencies, o.conns)
		var done sync.WaitGroup
		failures := make([]error, o.conns)
		began := time.Now()
		from := began.Add(o.warmup)
		until := from.Add(o.seconds)
		for i := range conns {
			m := groups[i/membersPerGroup].members[i%membersPerGroup]
			due := began.Add(heartbeatTime * time.Duration(i) / time.Duration(o.conns))
			done.Go(func() {
				for ; failures[i] == nil && due.Before(until); due = due.Add(heartbeatTime) {
					time.Sleep(time.Until(due))
					failures[i] = m.heartbeat()
					if due.After(from) {
						samplesOf[i].add(time.Since(due))
					}
				}
			})
		}
		out := result{"errors": int64(0)}
		window(o, from, until, out)
		done.Wait()
		samples := slices.Concat(samplesOf...)
		out["heartbeats_s"] = float64(len(samples)) / o.seconds.Seconds()
		samples.report(out)
		for _, g := range groups {
			failures = append(failures, g.leave())
		}
		return out, errors.Join(failures...)
	})
}

// newGroups makes all groups at once: a broker lets each wait for its first members.
func newGroups(o *options, conns []*conn) ([]*group, error) {
	groups := make([]*group, len(conns)/membersPerGroup)
	failures := make([]error, len(groups))
	var running sync.WaitGroup
	for i := range groups {
		running.Go(func() {
			groups[i], failures[i] = newGroup(o, o.run.group(i), conns[i*membersPerGroup:][:membersPerGroup])
		})
	}
	running.Wait()
	return groups, errors.Join(failures...)
}
