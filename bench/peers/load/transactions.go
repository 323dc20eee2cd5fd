package main

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

const commitPause = 20 * time.Millisecond

// transactions has idempotent producers and as many transactional ones write the same number of records, in turns: what disturbs
// the machine for a while disturbs both. Each producer has a topic of its own.
func transactions(o *options) (result, error) {
	o.topics, o.committed = 2*o.conns, true
	return withTopics(o, func() (result, error) {
		acked := newIDSet(2 * o.rounds * o.records)
		var idempotent, transactional team
		defer func() { idempotent.close(); transactional.close() }()
		for i := range o.conns {
			if err := idempotent.add(newStreamer(o, []string{o.run.topic(i)}, acked)); err != nil {
				return nil, err
			}
			if err := transactional.add(newTransactor(o, o.conns+i, acked)); err != nil {
				return nil, err
			}
		}
		var idempotentRates, rates []float64
		observed := observe(o.pid)
		for round := range o.rounds {
			first := 2 * round * o.records
			rate, err := o.rateOf(func() error { return idempotent.share(first, first+o.records, (*streamer).send) })
			if err != nil {
				return nil, err
			}
			idempotentRates = append(idempotentRates, rate)
			rate, err = o.rateOf(func() error {
				return transactional.share(first+o.records, first+2*o.records, (*streamer).sendInTransactions)
			})
			if err != nil {
				return nil, err
			}
			rates = append(rates, rate)
		}
		out := result{"errors": idempotent.errors() + transactional.errors()}
		observed.report(out)
		out["records_s"], out["idempotent_records_s"] = median(rates), median(idempotentRates)
		out["of_idempotent"] = median(rates) / median(idempotentRates)
		return out, verifyIf(o, acked, out)
	})
}

// team is producers that share what is to be written.
type team []*streamer

func (t *team) add(s *streamer, err error) error {
	if err == nil {
		*t = append(*t, s)
	}
	return err
}

func (t team) close() {
	for _, s := range t {
		s.client.Close()
	}
}

func (t team) errors() (errors int64) {
	for _, s := range t {
		errors += s.errors
	}
	return errors
}

// share has each write its part of a range, all at once.
func (t team) share(from, to int, send func(s *streamer, from, to int) error) error {
	ended := make(chan error, len(t))
	for i, s := range t {
		begin, end := from+(to-from)*i/len(t), from+(to-from)*(i+1)/len(t)
		go func() { ended <- send(s, begin, end) }()
	}
	var failed error
	for range t {
		if err := <-ended; err != nil {
			failed = err
		}
	}
	return failed
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
