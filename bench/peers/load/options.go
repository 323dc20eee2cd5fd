package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

type options struct {
	brokers, acks, compression, dir, lock   string
	run                                     runID
	conc, size, topics, partitions          int
	conns, inflight, records, rate, pid     int
	pace                                    int
	prime, rounds, perTransaction           int
	batchBytes, fetchBytes                  int
	seconds, warmup, linger, settle         time.Duration
	idempotent, raw, verify, keep, existing bool
	committed                               bool // what is read: set by the modes
}

var acksOf = map[string]kgo.Acks{"all": kgo.AllISRAcks(), "1": kgo.LeaderAck()}

var codecOf = map[string]kgo.CompressionCodec{
	"none": kgo.NoCompression(), "lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
}

func parse(args []string) (*options, error) {
	o := &options{run: newRunID()}
	run := ""
	flags := flag.NewFlagSet("load MODE", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // one line for a bad flag; --help prints them all
	flags.StringVar(&o.brokers, "brokers", "127.0.0.1:9092", "bootstrap addresses, comma-separated")
	flags.IntVar(&o.conc, "conc", 128, "sends in flight, or connections of closed-conns")
	flags.IntVar(&o.size, "size", 256, "bytes of a record's value, at least 16")
	flags.IntVar(&o.records, "records", 1_000_000, "records of stream, consume, consume-committed and verify, of each turn of transactions")
	flags.IntVar(&o.rate, "rate", 1000, "records per second of e2e, commits per second of commits")
	flags.IntVar(&o.pace, "pace", 0, "stream --raw: records per second, 0 for as many as the broker takes")
	flags.IntVar(&o.rounds, "rounds", 5, "rebalances, or turns of each kind in the modes that compare two")
	flags.IntVar(&o.perTransaction, "per-transaction", 1000, "records of a transaction")
	flags.IntVar(&o.topics, "topics", 1, "topics of stream and verify")
	flags.IntVar(&o.partitions, "partitions", 1, "partitions of each topic")
	flags.IntVar(&o.prime, "prime", 0, "stream: records per partition before the clock starts, for brokers whose first write into a partition is slow")
	flags.IntVar(&o.conns, "conns", 1, "connections of stream --raw, consume --raw, commits and idle, producers of transactions, members of rebalance and heartbeats")
	flags.IntVar(&o.inflight, "inflight", 5, "requests in flight per connection of stream --raw and of non-idempotent clients")
	flags.IntVar(&o.batchBytes, "batch-bytes", 1_000_000, "largest batch before compression")
	flags.IntVar(&o.fetchBytes, "fetch-bytes", 1<<20, "bytes per partition and fetch")
	flags.DurationVar(&o.seconds, "seconds", 20*time.Second, "measured time of the modes that are not counted in records, e.g. 6s")
	flags.DurationVar(&o.warmup, "warmup", 5*time.Second, "time before it that is not measured")
	flags.DurationVar(&o.linger, "linger", 5*time.Millisecond, "linger of stream")
	flags.DurationVar(&o.settle, "settle", 0, "first sync the disks and wait until the machine is quiet, at most this long")
	flags.StringVar(&o.lock, "lock", "", "a file to lock during the run, for machines where several people measure")
	flags.StringVar(&o.acks, "acks", "all", "all or 1")
	flags.StringVar(&o.compression, "compression", "none", "none, lz4 or zstd")
	flags.StringVar(&run, "run", "", "consume, verify: the run that wrote the topics with --keep")
	flags.StringVar(&o.dir, "dir", ".", "directory of fsync")
	flags.IntVar(&o.pid, "pid", 0, "broker process to observe")
	flags.BoolVar(&o.idempotent, "idempotent", true, "idempotent producer")
	flags.BoolVar(&o.raw, "raw", false, "prepared batches, no decoding")
	flags.BoolVar(&o.verify, "verify", false, "read everything back and compare")
	flags.BoolVar(&o.keep, "keep", false, "keep the topics")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		flags.SetOutput(os.Stderr)
		flags.PrintDefaults()
		return nil, errors.New("these are the flags of all modes")
	} else if err != nil {
		return nil, err
	}
	if o.acks != "all" {
		o.idempotent = false // Kafka: an idempotent producer needs acks=all
	}
	if run != "" {
		o.existing = true
		if err := o.run.parse(run); err != nil {
			return nil, err
		}
	}
	return o, o.check(flags.Args())
}

func (o *options) check(extra []string) error {
	_, acks := acksOf[o.acks]
	_, codec := codecOf[o.compression]
	switch {
	case len(extra) > 0:
		return fmt.Errorf("unknown argument %s", strings.Join(extra, " "))
	case o.size < headerBytes || o.size > 1<<20:
		return fmt.Errorf("--size is %d to %d", headerBytes, 1<<20)
	case min(o.conns, o.rate, o.rounds, o.perTransaction) < 1:
		return errors.New("--conns, --rate, --rounds and --per-transaction are at least 1")
	case o.pace < 0 || o.pace > 0 && !o.raw:
		return errors.New("--pace is at least 0, and goes with --raw")
	case !acks:
		return fmt.Errorf("--acks is all or 1: without answers there is nothing to wait for")
	case !codec:
		return fmt.Errorf("--compression is one of %s", strings.Join(slices.Sorted(maps.Keys(codecOf)), ", "))
	}
	return nil
}

func modeNames() []string { return slices.Sorted(maps.Keys(modes)) }
