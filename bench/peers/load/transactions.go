package main

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

const commitPause = 20 * time.Millisecond

// transactions has an idempotent producer and a transactional one write the same number of records, in turns: what disturbs the
// machine for a while disturbs both.
func transactions(o *options) (result, error) {
	o.topics, o.committed = 2, true
	return withTopics(o, func() (result, error) {
		acked := newIDSet(2 * o.rounds * o.records)
		idempotent, err := newStreamer(o, []string{o.run.topic(0)}, acked)
		if err != nil {
			return nil, err
		}
		defer idempotent.client.Close()
		transactional, err := newTransactor(o, 1, acked)
		if err != nil {
			return nil, err
		}
		defer transactional.client.Close()
		var idempotentRates, rates []float64
		observed := observe(o.pid)
		for round := range o.rounds {
			first := 2 * round * o.records
			rate, err := o.rateOf(func() error { return idempotent.send(first, first+o.records) })
			if err != nil {
				return nil, err
			}
			idempotentRates = append(idempotentRates, rate)
			rate, err = o.rateOf(func() error { return transactional.sendInTransactions(first+o.records, first+2*o.records) })
			if err != nil {
				return nil, err
			}
			rates = append(rates, rate)
		}
		out := result{"errors": idempotent.errors + transactional.errors}
		observed.report(out)
		out["records_s"], out["idempotent_records_s"] = median(rates), median(idempotentRates)
		out["of_idempotent"] = median(rates) / median(idempotentRates)
		return out, verifyIf(o, acked, out)
	})
}

// rateOf is the records per second of a turn.
func (o *options) rateOf(turn func() error) (float64, error) {
	began := time.Now()
	err := turn()
	return float64(o.records) / time.Since(began).Seconds(), err
}

// commitLatency is what a commit takes while nothing else goes on.
func commitLatency(o *options) (result, error) {
	o.committed = true
	return withTopics(o, func() (result, error) {
		from := time.Now().Add(o.warmup)
		until := from.Add(o.seconds)
		acked := newIDSet(maxIDs(o))
		s, err := newTransactor(o, 0, acked)
		if err != nil {
			return nil, err
		}
		defer s.client.Close()
		var samples latencies
		ended := make(chan error, 1)
		go func() {
			for id := 0; time.Now().Before(until); id++ {
				time.Sleep(commitPause)
				took, err := s.transaction(id, id+1, kgo.TryCommit)
				if err != nil {
					ended <- err
					return
				}
				if now := time.Now(); now.After(from) && now.Before(until) {
					samples.add(took)
				}
			}
			ended <- nil
		}()
		out := result{}
		window(o, from, until, out)
		if err := <-ended; err != nil {
			return nil, err
		}
		out["errors"] = s.errors
		samples.report(out)
		return out, verifyIf(o, acked, out)
	})
}

// newTransactor is the transactional producer of a topic.
func newTransactor(o *options, topic int, acked idSet) (*streamer, error) {
	name := o.run.topic(topic)
	return newStreamer(o, []string{name}, acked, kgo.TransactionalID(name))
}

func (s *streamer) sendInTransactions(from, to int) error {
	for ; from < to; from += s.o.perTransaction {
		if _, err := s.transaction(from, min(to, from+s.o.perTransaction), kgo.TryCommit); err != nil {
			return err
		}
	}
	return nil
}

// transaction returns what its end took.
func (s *streamer) transaction(from, to int, end kgo.TransactionEndTry) (time.Duration, error) {
	if err := s.client.BeginTransaction(); err != nil {
		return 0, err
	}
	if err := s.send(from, to); err != nil {
		return 0, err
	}
	began := time.Now()
	err := s.client.EndTransaction(context.Background(), end)
	return time.Since(began), err
}
