package main

import "time"

// rebalance times a group of o.conns members, from the first join to the last assignment.
func rebalance(o *options) (result, error) {
	o.partitions = o.conns
	return withTopics(o, func() (result, error) {
		conns, err := dialMany(o, o.conns)
		if err != nil {
			return nil, err
		}
		defer closeAll(conns)
		g, err := newGroup(o, o.run.group(0), conns)
		if err != nil {
			return nil, err
		}
		var samples latencies
		observed := observe(o.pid)
		for range o.rounds {
			began := time.Now()
			if err := g.rebalance(); err != nil {
				return nil, err
			}
			samples.add(time.Since(began))
		}
		out := result{"errors": int64(0), "rebalances": len(samples)}
		observed.report(out)
		samples.report(out)
		return out, g.leave()
	})
}
