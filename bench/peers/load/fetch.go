package main

import (
	"cmp"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	maxWaitMillis = 500 // Kafka's fetch.max.wait.ms
	maxFetchBytes = 50 << 20
)

// fetched is what one fetch or many brought: offsets gone forward by, records that a consumer would hand over, bytes of batches.
type fetched struct{ offsets, records, bytes int64 }

func (f *fetched) add(more fetched) {
	f.offsets, f.records, f.bytes = f.offsets+more.offsets, f.records+more.records, f.bytes+more.bytes
}

// fetch asks once for the partitions of the first topic in next, and moves them forward.
func (c *conn) fetch(o *options, next map[int32]int64) (fetched, error) {
	request := kmsg.NewPtrFetchRequest()
	request.Version = c.version(request.Key(), maxFetchVersion)
	request.ReplicaID, request.MaxWaitMillis, request.MinBytes, request.MaxBytes = -1, maxWaitMillis, 1, maxFetchBytes
	request.SessionEpoch = -1
	if o.committed {
		request.IsolationLevel = 1
	}
	ofTopic := kmsg.NewFetchRequestTopic()
	ofTopic.Topic = o.run.topic(0)
	for p, offset := range next {
		ofPartition := kmsg.NewFetchRequestTopicPartition()
		ofPartition.Partition, ofPartition.FetchOffset, ofPartition.PartitionMaxBytes = p, offset, int32(o.fetchBytes)
		ofTopic.Partitions = append(ofTopic.Partitions, ofPartition)
	}
	request.Topics = append(request.Topics, ofTopic)
	var total fetched
	response, err := c.ask(request)
	if err != nil {
		return total, err
	}
	for _, t := range response.(*kmsg.FetchResponse).Topics {
		for i := range t.Partitions {
			p := &t.Partitions[i]
			if p.ErrorCode != 0 {
				return total, kerr.ErrorForCode(p.ErrorCode)
			}
			got, err := countBatches(p, next[p.Partition])
			if err != nil {
				return total, err
			}
			total.add(got)
			next[p.Partition] += got.offsets
		}
	}
	return total, nil
}

// countBatches checks batches that must follow each other from an offset on. Markers, and what the answer says was aborted,
// are not records.
func countBatches(p *kmsg.FetchResponseTopicPartition, from int64) (got fetched, err error) {
	aborted := map[int64]bool{} // producers whose transaction at the offset reached was aborted
	toCome := p.AbortedTransactions
	slices.SortFunc(toCome, func(a, b kmsg.FetchResponseTopicPartitionAbortedTransaction) int {
		return cmp.Compare(a.FirstOffset, b.FirstOffset)
	})
	for b := p.RecordBatches; len(b) >= recordsAt; { // the last batch may be cut off
		length := 12 + int(binary.BigEndian.Uint32(b[8:]))
		if length > len(b) {
			break
		}
		if binary.BigEndian.Uint32(b[crcAt:]) != crc32.Checksum(b[crcAt+4:length], castagnoli) {
			return got, errors.New("a batch has a wrong checksum")
		}
		first := from + got.offsets
		if int64(binary.BigEndian.Uint64(b)) != first {
			return got, errors.New("a batch does not begin where the last one ended")
		}
		got.offsets += int64(binary.BigEndian.Uint32(b[lastDeltaAt:])) + 1
		got.bytes += int64(length)
		for ; len(toCome) > 0 && toCome[0].FirstOffset <= first; toCome = toCome[1:] {
			aborted[toCome[0].ProducerID] = true
		}
		attributes, producer := binary.BigEndian.Uint16(b[attributesAt:]), int64(binary.BigEndian.Uint64(b[producerAt:]))
		switch {
		case attributes&controlBit != 0: // the marker that ends the producer's transaction
			delete(aborted, producer)
		case attributes&transactionalBit == 0 || !aborted[producer]:
			got.records += int64(binary.BigEndian.Uint32(b[recordCountAt:]))
		}
		b = b[length:]
	}
	return got, nil
}
