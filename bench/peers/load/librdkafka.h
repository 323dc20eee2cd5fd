// One librdkafka producer with single-record sends in flight, linger 0; the report of a delivery triggers the next send.
#ifndef CHRONIK_LIBRDKAFKA_H
#define CHRONIK_LIBRDKAFKA_H

#include <stddef.h>
#include <stdint.h>

struct closed_loop {
  const char *brokers, *topic, *acks;
  int partitions, in_flight;
  size_t value_bytes;
  uint64_t run; // see payload.go for what a value holds
  const char *text;
  size_t text_bytes;
  double warmup_s, measured_s;

  uint64_t *acked; // a bit per id
  uint64_t id_limit;
  uint32_t *samples_ns;
  size_t sample_limit, samples;
  int64_t errors;
};

// Returns NULL, or why it could not run, to be freed.
char *closed_loop_run(struct closed_loop *loop);

const char *closed_loop_version(void);

#endif
