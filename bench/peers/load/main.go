// load drives any broker that speaks the Kafka protocol, with little client CPU: broker and client share the machine.
//
//	go build -o /somewhere/load . && load MODE [flags]
//
// Produce and fetch:
//
//	closed             --conc N single-record sends in flight on ONE shared client, linger 0; an ack triggers the next send
//	closed-librdkafka  the same through librdkafka as it comes (not idempotent); only in a binary built as librdkafka.go says
//	closed-conns       --conc N connections with one single-record request in flight each
//	stream             --records N as fast as the broker takes them, round robin over --topics and --partitions;
//	                   --raw sends prepared batches instead of encoding records, --pace N of them a second
//	consume            --records N (written first, or those of --run) read from the beginning; --raw counts without decoding
//	e2e                --rate N records/s, from the call of produce until the consumer has the record
//	idle               --conns N consumers that long-poll a topic nobody writes to
//	first              time until a broker that is just starting acks a first record: start this, wait for its line
//	                   "trying", then start the broker
//	transactions       --records N per turn, by --conns idempotent producers and as many transactional ones in turns, for
//	                   --rounds; --per-transaction records, then a flush and a commit
//	commit-latency     transactions of one record after each other, with pauses: the time of the commit alone
//	consume-committed  --records N written in transactions, every tenth of which is aborted, then read without decoding,
//	                   uncommitted and committed in turns, for --rounds; the rates count what was aborted too
//	verify             read the topics that stream --keep wrote as --run: each of --records ids once, with its content
//
// Consumer groups:
//
//	rebalance   one group of --conns members, --rounds times: all join again, the leader assigns, all get what is theirs
//	heartbeats  --conns members, three to a group, each with a heartbeat every three seconds
//	commits     --rate N offset commits/s over --conns connections, a group each; where each group is, is read back at the end
//
// Limits of the machine, for scale:
//
//	fsync     --size byte appends to a file in --dir, each followed by fdatasync
//	loopback  bytes/s of one TCP stream, and round trips of 64 bytes
//
// Each run makes fresh topics named after the run, deletes them at the end unless --keep, and prints one line for people on
// stderr and one of JSON on stdout. --pid adds the broker's CPU (cores busy) and memory, the client's own CPU, and that of
// everything else on the machine: a run with a high "other" is noise. --verify reads all topics back. What groups answer is checked
// without it.
//
// --raw, closed-conns, idle, consume-committed and the modes of groups speak the protocol directly (Produce and Fetch <= 12), so
// that the broker is the limit; the others use franz-go as an application would (idempotent unless --idempotent=false, then
// --inflight requests). It gathers the records of a closed loop into batches, see records_per_batch: only closed-conns counts
// requests.
package main

import (
	"fmt"
	"os"
	"runtime/debug"
	"strings"
)

var modes = map[string]func(*options) (result, error){
	"closed":            closed,
	"closed-conns":      closedConns,
	"stream":            stream,
	"consume":           consume,
	"e2e":               endToEnd,
	"idle":              idle,
	"first":             firstAck,
	"transactions":      transactions,
	"commit-latency":    commitLatency,
	"consume-committed": consumeCommitted,
	"verify":            verifyRun,
	"rebalance":         rebalance,
	"heartbeats":        heartbeats,
	"commits":           commits,
	"fsync":             fsyncLimit,
	"loopback":          loopbackLimit,
}

func main() {
	if len(os.Args) < 2 || modes[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: load MODE [flags], where MODE is one of", strings.Join(modeNames(), ", "), "; see --help of a mode")
		os.Exit(2)
	}
	o, err := parse(os.Args[2:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(2)
	}
	debug.SetGCPercent(400) // the client's cores are the broker's too
	if err := settle(o); err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
	out, err := modes[os.Args[1]](o)
	if err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
	out["mode"] = os.Args[1]
	out["args"] = strings.Join(os.Args[2:], " ")
	out["run"] = o.run.String()
	out.print()
	if errors, _ := out["errors"].(int64); errors > 0 || out["verified"] == false {
		os.Exit(1)
	}
}
