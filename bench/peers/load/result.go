package main

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
)

// result is what a mode reports: flat, so that one JSON line is one row of a table.
type result map[string]any

// forPeople are the keys of the line on stderr, in this order.
var forPeople = []string{
	"records_s", "mb_s", "records_per_batch", "of_idempotent", "of_uncommitted", "polls_s", "commits_s", "heartbeats_s", "p50_ms", "p95_ms", "p99_ms", "p999_ms", "max_ms", "round_trip_us",
	"broker_cpu", "client_cpu", "other_cpu", "broker_rss_mb", "broker_peak_rss_mb",
	"acked", "read", "missing", "duplicates", "corrupt", "errors", "verified",
}

func (r result) print() {
	line, _ := json.Marshal(r) // of strings, numbers and booleans: it cannot fail
	fmt.Println(string(line))
	var human strings.Builder
	fmt.Fprintf(&human, "%-12s", r["mode"])
	for _, key := range forPeople {
		switch v := r[key].(type) {
		case nil:
		case float64:
			fmt.Fprintf(&human, "  %s %.*f", key, decimals(v), v)
		default:
			fmt.Fprintf(&human, "  %s %v", key, v)
		}
	}
	fmt.Fprintln(os.Stderr, human.String())
}

func decimals(v float64) int {
	if v >= 1000 {
		return 0
	}
	return 2
}

func (r result) rates(records, size int, elapsed time.Duration) {
	r["records"], r["seconds"] = records, elapsed.Seconds()
	r["records_s"] = float64(records) / elapsed.Seconds()
	r["mb_s"] = float64(records) * float64(size) / 1e6 / elapsed.Seconds()
}

// latencies are all samples of a run in nanoseconds.
type latencies []uint32

func (l *latencies) add(d time.Duration) { *l = append(*l, uint32(min(d, 4*time.Second))) }

func (l latencies) report(r result) {
	if len(l) == 0 {
		return
	}
	slices.Sort(l)
	at := func(q float64) float64 { return float64(l[int(q*float64(len(l)-1))]) / 1e6 }
	r["p50_ms"], r["p95_ms"], r["p99_ms"], r["p999_ms"], r["max_ms"] = at(.5), at(.95), at(.99), at(.999), at(1)
}

func median(values []float64) float64 {
	slices.Sort(values)
	return values[len(values)/2]
}
