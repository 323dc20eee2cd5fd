package main

import (
	"context"
	"fmt"
	"math/bits"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// verifyRun checks the topics of an earlier run, which has acked every id below --records.
func verifyRun(o *options) (result, error) {
	out := result{}
	return out, verify(o, allIDs(o.records), out)
}

func verifyIf(o *options, acked idSet, out result) error {
	if !o.verify {
		return nil
	}
	return verify(o, acked, out)
}

// verify reads the topics to their end: every acked id must be there, once, with its text.
func verify(o *options, acked idSet, out result) error {
	seen := newIDSet(len(acked) * 64)
	var duplicates, corrupt, read, missing int
	err := readAll(o, func(r *kgo.Record) {
		read++
		id, ok := o.run.read(r.Value)
		if !ok || len(r.Value) != o.size || !seen.holds(id) {
			corrupt++
		} else if !seen.add(id) {
			duplicates++
		}
	})
	if err != nil {
		return err
	}
	for i := range acked {
		missing += bits.OnesCount64(acked[i].Load() &^ seen[i].Load())
	}
	count, checksum := acked.sum()
	out["acked"], out["ids_checksum"] = count, fmt.Sprintf("%016x", checksum)
	out["read"], out["missing"], out["duplicates"], out["corrupt"] = read, missing, duplicates, corrupt
	out["verified"] = missing == 0 && corrupt == 0 && (duplicates == 0 || !o.idempotent)
	return nil
}

// readAll hands over every record, or every committed one, from the beginning to the end offsets of now.
func readAll(o *options, each func(*kgo.Record)) error {
	left, err := offsetCount(o)
	if err != nil {
		return err
	}
	isolation := kgo.ReadUncommitted()
	if o.committed {
		isolation = kgo.ReadCommitted()
	}
	client, err := kgo.NewClient(append(baseOptions(o), kgo.FetchIsolationLevel(isolation), kgo.KeepControlRecords(),
		kgo.ConsumeTopics(topicNames(o)...), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchMaxPartitionBytes(int32(o.fetchBytes)))...)
	if err != nil {
		return err
	}
	defer client.Close()
	next := map[string]map[int32]int64{}
	for _, topic := range topicNames(o) {
		next[topic] = map[int32]int64{}
	}
	for left > 0 {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		fetches := client.PollFetches(ctx)
		cancel()
		if err := fetches.Err(); err != nil {
			return fmt.Errorf("%d records did not come: %w", left, err)
		}
		fetches.EachPartition(func(p kgo.FetchTopicPartition) {
			for _, r := range p.Records {
				if !r.Attrs.IsControl() {
					each(r)
				}
			}
			if len(p.Records) > 0 { // aborted records leave gaps, but a marker comes after them
				end := p.Records[len(p.Records)-1].Offset + 1
				left -= end - next[p.Topic][p.Partition]
				next[p.Topic][p.Partition] = end
			}
		})
	}
	return nil
}
