package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand"
	"strconv"
	"sync"
	"time"
)

// A value is 8 bytes naming the run, 8 bytes of id, and log-like text that follows from the id, so that a reader can check all of it.
const (
	headerBytes = 16
	textBytes   = 16 << 20 // larger than a batch, so that records of one batch seldom share text and compress unnaturally well
)

// runID names a run, its topics and its records.
type runID uint64

func newRunID() runID { return runID(time.Now().UnixNano()) }

func (r runID) String() string { return strconv.FormatUint(uint64(r), 16) }

func (r *runID) parse(text string) error {
	id, err := strconv.ParseUint(text, 16, 64)
	*r = runID(id)
	return err
}

func (r runID) topic(number int) string { return fmt.Sprintf("load-%s-%d", r, number) }

func (r runID) group(number int) string { return fmt.Sprintf("load-group-%s-%d", r, number) }

var text = sync.OnceValue(func() []byte {
	random := rand.New(rand.NewSource(1))
	words := make([]string, 4096)
	for i := range words {
		word := make([]byte, 3+random.Intn(8))
		for j := range word {
			word[j] = "etaoinshrdlucmfwypvbgkjqxz0123456789"[min(random.Intn(36), random.Intn(36))]
		}
		words[i] = string(word)
	}
	frequency := rand.NewZipf(random, 1.1, 8, uint64(len(words)-1))
	out := make([]byte, 0, textBytes+64)
	for len(out) < textBytes {
		out = append(append(out, words[frequency.Uint64()]...), ' ')
	}
	return out[:textBytes]
})

// textOf is copied by librdkafka.c.
func textOf(id uint64, size int) []byte {
	at := int(id * 0x9e3779b97f4a7c15 >> 40) // 24 bits: textBytes
	at = min(at, textBytes-size)
	return text()[at : at+size]
}

func (r runID) fill(value []byte, id uint64) {
	binary.BigEndian.PutUint64(value, uint64(r))
	binary.BigEndian.PutUint64(value[8:], id)
	copy(value[headerBytes:], textOf(id, len(value)-headerBytes))
}

// read is the id of a value that fill made.
func (r runID) read(value []byte) (id uint64, ok bool) {
	if len(value) < headerBytes || binary.BigEndian.Uint64(value) != uint64(r) {
		return 0, false
	}
	id = binary.BigEndian.Uint64(value[8:])
	return id, bytes.Equal(value[headerBytes:], textOf(id, len(value)-headerBytes))
}
