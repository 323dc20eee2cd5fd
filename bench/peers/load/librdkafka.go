//go:build librdkafka

package main

// The library is the one that Confluent's Go client bundles, statically linked; that client itself would cost the machine a
// goroutine switch and a cgo call per record. To build, with gcc:
//
//	bundle=$(go list -m -f '{{.Dir}}' github.com/confluentinc/confluent-kafka-go/v2)/kafka/librdkafka_vendor
//	CGO_CFLAGS="-O2 -I$bundle" CGO_LDFLAGS="$bundle/librdkafka_glibc_linux_$(go env GOARCH).a -lm -ldl -lpthread -lrt" \
//	  go build -tags librdkafka -o /somewhere/load .

// #include <stdlib.h>
// #include "librdkafka.h"
import "C"

import (
	"errors"
	"runtime"
	"time"
	"unsafe"

	_ "github.com/confluentinc/confluent-kafka-go/v2/kafka/librdkafka_vendor"
)

func init() { modes["closed-librdkafka"] = closedLibrdkafka }

// closedLibrdkafka is closed through librdkafka: plain C, the next send from the delivery callback.
func closedLibrdkafka(o *options) (result, error) {
	o.idempotent = false // librdkafka's default, and so a retry may duplicate
	return withTopics(o, func() (result, error) {
		acked := newIDSet(maxIDs(o))
		samples := make(latencies, int(o.seconds.Seconds()*1e6))
		brokers, topic, acks := C.CString(o.brokers), C.CString(o.run.topic(0)), C.CString(o.acks)
		defer C.free(unsafe.Pointer(brokers))
		defer C.free(unsafe.Pointer(topic))
		defer C.free(unsafe.Pointer(acks))
		var pinned runtime.Pinner
		defer pinned.Unpin()
		for _, memory := range []any{&text()[0], &acked[0], &samples[0]} {
			pinned.Pin(memory)
		}
		loop := C.struct_closed_loop{
			brokers: brokers, topic: topic, acks: acks, partitions: C.int(o.partitions), in_flight: C.int(o.conc),
			value_bytes: C.size_t(o.size), run: C.uint64_t(o.run),
			text: (*C.char)(unsafe.Pointer(&text()[0])), text_bytes: textBytes,
			warmup_s: C.double(o.warmup.Seconds()), measured_s: C.double(o.seconds.Seconds()),
			acked: (*C.uint64_t)(unsafe.Pointer(&acked[0])), id_limit: C.uint64_t(len(acked) * 64),
			samples_ns: (*C.uint32_t)(unsafe.Pointer(&samples[0])), sample_limit: C.size_t(len(samples)),
		}
		from := time.Now().Add(o.warmup)
		failure := make(chan *C.char, 1)
		go func() { failure <- C.closed_loop_run(&loop) }()
		out := result{}
		window(o, from, from.Add(o.seconds), out)
		if reason := <-failure; reason != nil {
			defer C.free(unsafe.Pointer(reason))
			return nil, errors.New(C.GoString(reason))
		}
		samples = samples[:loop.samples]
		out["errors"], out["librdkafka"] = int64(loop.errors), C.GoString(C.closed_loop_version())
		out.rates(len(samples), o.size, o.seconds)
		samples.report(out)
		return out, verifyIf(o, acked, out)
	})
}
