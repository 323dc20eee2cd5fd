package main

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// committer commits one partition of a group of its own, over a connection of its own.
type committer struct {
	*conn
	o         *options
	group     string
	partition int32
	// committed is the offset acknowledged last.
	committed int64
	samples   latencies
}

// commits paces o.rate offset commits a second over o.conns connections. Time counts from when a commit is due, so that one that
// waits for the commit before it is late too.
func commits(o *options) (result, error) {
	return withTopics(o, func() (result, error) {
		conns, err := dialMany(o, o.conns)
		if err != nil {
			return nil, err
		}
		defer closeAll(conns)
		committers := make([]*committer, len(conns))
		for i, c := range conns {
			committers[i] = &committer{conn: c, o: o, group: o.run.group(i), partition: int32(i % o.partitions)}
			if err := c.untilCoordinated(committers[i].group); err != nil {
				return nil, err
			}
		}
		began := time.Now()
		from := began.Add(o.warmup)
		until := from.Add(o.seconds)
		interval := time.Second * time.Duration(o.conns) / time.Duration(o.rate)
		failures := make([]error, o.conns)
		var done sync.WaitGroup
		for i, c := range committers {
			phase := interval * time.Duration(i) / time.Duration(o.conns)
			done.Go(func() {
				failures[i] = c.pace(began.Add(phase), interval, from)
				c.samples = nil
				if failures[i] == nil { // begins anew: what the warm-up left undone is forgotten
					failures[i] = c.pace(from.Add(phase), interval, until)
				}
			})
		}
		out := result{"errors": int64(0)}
		window(o, from, until, out)
		done.Wait()
		var samples latencies
		for i, c := range committers {
			samples = append(samples, c.samples...)
			failures[i] = errors.Join(failures[i], c.check())
		}
		out["commits_s"] = float64(len(samples)) / o.seconds.Seconds()
		samples.report(out)
		return out, errors.Join(failures...)
	})
}

// pace counts what is acknowledged in time.
func (c *committer) pace(due time.Time, interval time.Duration, until time.Time) error {
	for now := time.Now(); due.Before(until) && now.Before(until); due = due.Add(interval) {
		time.Sleep(time.Until(due))
		if err := c.commit(c.committed + 1); err != nil {
			return err
		}
		c.committed++
		if now = time.Now(); now.Before(until) {
			c.samples.add(now.Sub(due))
		}
	}
	return nil
}

func (c *committer) commit(offset int64) error {
	ofPartition := kmsg.NewOffsetCommitRequestTopicPartition()
	ofPartition.Partition, ofPartition.Offset = c.partition, offset
	ofTopic := kmsg.NewOffsetCommitRequestTopic()
	ofTopic.Topic, ofTopic.Partitions = c.o.run.topic(0), append(ofTopic.Partitions, ofPartition)
	request := kmsg.NewPtrOffsetCommitRequest()
	request.Group, request.Topics = c.group, append(request.Topics, ofTopic)
	response, err := c.askNewest(request, maxOffsetsVersion)
	if err != nil {
		return err
	}
	return kerr.ErrorForCode(response.(*kmsg.OffsetCommitResponse).Topics[0].Partitions[0].ErrorCode)
}

// check finds out whether the group is where its last acknowledged commit left it.
func (c *committer) check() error {
	topics, err := c.offsetsOf(c.group)
	if err != nil {
		return err
	}
	if len(topics) != 1 || len(topics[0].Partitions) != 1 || topics[0].Partitions[0].Offset != c.committed {
		return fmt.Errorf("group %s does not have the offset %d that it committed last", c.group, c.committed)
	}
	return nil
}

// offsetsOf is what a group has committed, of all topics.
func (c *conn) offsetsOf(group string) ([]kmsg.OffsetFetchResponseGroupTopic, error) {
	ofGroup := kmsg.NewOffsetFetchRequestGroup()
	ofGroup.Group = group
	request := kmsg.NewPtrOffsetFetchRequest()
	request.Groups = append(request.Groups, ofGroup)
	response, err := c.askNewest(request, maxOffsetsVersion)
	if err != nil {
		return nil, err
	}
	fetched := response.(*kmsg.OffsetFetchResponse).Groups[0]
	return fetched.Topics, kerr.ErrorForCode(fetched.ErrorCode)
}
