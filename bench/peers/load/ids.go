package main

import "sync/atomic"

// idSet is a set of dense ids below a limit, safe for many goroutines.
type idSet []atomic.Uint64

func newIDSet(limit int) idSet { return make(idSet, limit/64+1) }

func allIDs(limit int) idSet {
	s := newIDSet(limit)
	for id := range uint64(limit) {
		s.add(id)
	}
	return s
}

// add reports whether the id is new.
func (s idSet) add(id uint64) bool {
	bit := uint64(1) << (id % 64)
	return s[id/64].Or(bit)&bit == 0
}

func (s idSet) holds(id uint64) bool { return id < uint64(len(s))*64 }

func (s idSet) has(id uint64) bool { return s[id/64].Load()>>(id%64)&1 == 1 }

// sum is the count and an order-free checksum of the ids.
func (s idSet) sum() (count int, checksum uint64) {
	for id := uint64(0); s.holds(id); id++ {
		if s.has(id) {
			count++
			checksum += (id + 1) * 0x9e3779b97f4a7c15
		}
	}
	return count, checksum
}
