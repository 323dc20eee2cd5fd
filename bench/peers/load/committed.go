package main

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kgo"
)

const oneAbortedOf = 10

// consumeCommitted reads one topic to its end, with and without what was aborted, in turns.
func consumeCommitted(o *options) (result, error) {
	if o.records == 0 || o.records%(oneAbortedOf*o.perTransaction) != 0 {
		return nil, fmt.Errorf("--records is a multiple of --per-transaction times %d", oneAbortedOf)
	}
	return withTopics(o, func() (result, error) {
		acked, err := fillWithTransactions(o)
		if err != nil {
			return nil, err
		}
		end, err := offsetCount(o)
		if err != nil {
			return nil, err
		}
		var uncommittedRates, rates []float64
		observed := observe(o.pid)
		for range o.rounds {
			rate, err := o.readRate(end, false)
			if err != nil {
				return nil, err
			}
			uncommittedRates = append(uncommittedRates, rate)
			if rate, err = o.readRate(end, true); err != nil {
				return nil, err
			}
			rates = append(rates, rate)
		}
		out := result{"errors": int64(0)}
		observed.report(out)
		out["records_s"], out["uncommitted_records_s"] = median(rates), median(uncommittedRates)
		out["of_uncommitted"] = median(rates) / median(uncommittedRates)
		return out, verifyIf(o, acked, out) // committed: what the last turn read
	})
}

// readRate counts what it reads, and the time for all records: the broker delivers the aborted ones too.
func (o *options) readRate(end int64, committed bool) (float64, error) {
	want := o.records
	if o.committed = committed; committed {
		want = committedOf(o)
	}
	return o.rateOf(func() error {
		total, err := rawRead(o, end)
		if err == nil && total.records != int64(want) {
			err = fmt.Errorf("read %d records of %d", total.records, want)
		}
		return err
	})
}

func committedOf(o *options) int { return o.records / oneAbortedOf * (oneAbortedOf - 1) }

// fillWithTransactions returns the ids that were committed. Those that were aborted lie beyond what such a set holds.
func fillWithTransactions(o *options) (idSet, error) {
	committed := committedOf(o)
	acked := newIDSet(committed)
	s, err := newTransactor(o, 0, acked)
	if err != nil {
		return nil, err
	}
	defer s.client.Close()
	firstAborted := 64 * len(acked)
	aborted := *s
	aborted.acked = newIDSet(firstAborted + o.records - committed)
	for from := 0; from < committed; from += (oneAbortedOf - 1) * o.perTransaction {
		if err := s.sendInTransactions(from, from+(oneAbortedOf-1)*o.perTransaction); err != nil {
			return nil, err
		}
		if _, err := aborted.transaction(firstAborted, firstAborted+o.perTransaction, kgo.TryAbort); err != nil {
			return nil, err
		}
		firstAborted += o.perTransaction
	}
	if s.errors+aborted.errors > 0 {
		return nil, fmt.Errorf("%d records were refused", s.errors+aborted.errors)
	}
	return acked, nil
}
