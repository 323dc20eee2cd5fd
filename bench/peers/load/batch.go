package main

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Positions in a record batch.
const (
	crcAt         = 17 // the checksum covers what follows it
	attributesAt  = 21
	lastDeltaAt   = 23
	producerAt    = 43
	recordCountAt = 57
	recordsAt     = 61
)

// Attributes of a record batch.
const (
	transactionalBit = 1 << 4
	controlBit       = 1 << 5
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// batch is an encoded record batch whose ids can be replaced in place if it is not compressed.
type batch struct {
	bytes  []byte
	values []int // where each record's value begins
}

func newBatch(o *options, firstID uint64, records int) batch {
	var body []byte
	var b batch
	value := make([]byte, o.size)
	for i := range records {
		record := []byte{0}                                     // attributes
		record = binary.AppendVarint(record, 0)                 // timestamp delta
		record = binary.AppendVarint(record, int64(i))          // offset delta
		record = binary.AppendVarint(record, -1)                // no key
		record = binary.AppendVarint(record, int64(len(value))) // value
		body = binary.AppendVarint(body, int64(len(record)+len(value)+1))
		body = append(body, record...)
		b.values = append(b.values, recordsAt+len(body))
		o.run.fill(value, firstID+uint64(i))
		body = append(append(body, value...), 0) // no headers
	}
	body, codec := compress(o.compression, body)
	now := time.Now().UnixMilli()
	encoded := kmsg.RecordBatch{
		Length: int32(recordsAt - 12 + len(body)), PartitionLeaderEpoch: -1, Magic: 2, Attributes: codec,
		LastOffsetDelta: int32(records - 1), FirstTimestamp: now, MaxTimestamp: now,
		ProducerID: -1, ProducerEpoch: -1, FirstSequence: -1, NumRecords: int32(records), Records: body,
	}
	b.bytes = encoded.AppendTo(nil)
	b.seal()
	return b
}

func compress(name string, body []byte) (compressed []byte, codec int16) {
	switch name {
	case "zstd":
		encoder, _ := zstd.NewWriter(nil) // without options it cannot fail
		return encoder.EncodeAll(body, nil), 4
	case "lz4":
		var out bytes.Buffer
		encoder := lz4.NewWriter(&out) // into memory: its errors would be the buffer's, which has none
		encoder.Write(body)
		encoder.Close()
		return out.Bytes(), 3
	}
	return body, 0
}

func (b batch) renumber(o *options, firstID uint64) {
	for i, at := range b.values {
		o.run.fill(b.bytes[at:at+o.size], firstID+uint64(i))
	}
	b.seal()
}

func (b batch) seal() {
	binary.BigEndian.PutUint32(b.bytes[crcAt:], crc32.Checksum(b.bytes[crcAt+4:], castagnoli))
}
