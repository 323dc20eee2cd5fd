package main

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"runtime/debug"
	"time"
)

const (
	bigBytes      = 1024*1024 - 200
	tooLargeBytes = 1024*1024 + 200
	readTimeout   = 20 * time.Second
	// A fetch that waits longer than this for a record that is there was not woken.
	wakeTimeout = 8 * time.Second
	longWait    = 30 * time.Second
	// How long a reader has to send its first fetch, before something is written for it.
	settling = time.Second
)

// times are what the records of the cases about time carry.
var times = []time.Time{
	time.UnixMilli(1_700_000_000_000),
	time.UnixMilli(1_700_000_001_000),
	time.UnixMilli(1_700_000_002_000),
}

// A case shows one thing and panics if it is not so.
type cases map[string]func()

type keyValue struct {
	key, value []byte
}

// numbered returns records that compress well and differ.
func numbered(count int) []keyValue {
	records := make([]keyValue, count)
	for i := range records {
		value := ""
		for range 20 {
			value += fmt.Sprintf("value-%d ", i)
		}
		records[i] = keyValue{[]byte(fmt.Sprintf("key-%d", i)), []byte(value)}
	}
	return records
}

func unique(purpose string) string {
	id := make([]byte, 6)
	_, err := rand.Read(id)
	must(err)
	return purpose + "-" + hex.EncodeToString(id)
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func check(what string, actual, expected any) {
	if !reflect.DeepEqual(actual, expected) {
		panic(what + ": " + shown(actual) + " instead of " + shown(expected))
	}
}

func shown(value any) string {
	text := fmt.Sprintf("%q", value)
	return text[:min(len(text), 500)]
}

// until waits for a change that may be visible a moment after its answer: Kafka's broker follows its controller.
func until(what string, condition func() bool) {
	for end := time.Now().Add(readTimeout); !condition(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			panic("waited in vain for " + what)
		}
	}
}

// concurrently starts what may take its time; the function that it returns waits for it and fails if it has failed.
func concurrently(run func()) (wait func()) {
	done := make(chan string, 1)
	go func() { done <- outcome(run) }()
	return func() { check("failure", <-done, "") }
}

func runAll(client string, all cases) {
	out := json.NewEncoder(os.Stdout)
	for name, run := range all {
		detail := outcome(run)
		must(out.Encode(map[string]any{"client": client, "case": name, "ok": detail == "", "detail": detail}))
	}
}

func outcome(run func()) (detail string) {
	defer func() {
		if thrown := recover(); thrown != nil {
			detail = fmt.Sprintf("%v\n%s", thrown, debug.Stack())
		}
	}()
	run()
	return ""
}
