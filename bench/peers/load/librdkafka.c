//go:build librdkafka

#include "librdkafka.h"

#include <rdkafka.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct slot {
  uint64_t id;
  int64_t sent_ns;
  char *value;
};

struct run {
  struct closed_loop *loop;
  rd_kafka_topic_t *topic;
  struct slot *slots;
  uint64_t next_id;
  int64_t from_ns, until_ns;
  int in_flight;
};

static int64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void put64(char *at, uint64_t value) {
  for (int i = 0; i < 8; i++) at[i] = (char)(value >> (56 - 8 * i));
}

static void fill(const struct closed_loop *loop, char *value, uint64_t id) {
  size_t size = loop->value_bytes - 16, at = id * UINT64_C(0x9e3779b97f4a7c15) >> 40;
  if (at > loop->text_bytes - size) at = loop->text_bytes - size;
  put64(value, loop->run);
  put64(value + 8, id);
  memcpy(value + 16, loop->text + at, size);
}

// The producer's queue holds far more than is in flight, so a refusal is an error that ends this slot.
static void send_next(struct run *run, struct slot *slot) {
  slot->id = run->next_id++;
  fill(run->loop, slot->value, slot->id);
  slot->sent_ns = now_ns();
  int32_t partition = (int32_t)(slot->id % (uint64_t)run->loop->partitions);
  if (rd_kafka_produce(run->topic, partition, 0, slot->value, run->loop->value_bytes, NULL, 0, slot) != 0) {
    run->loop->errors++;
    run->in_flight--;
  }
}

static void delivered(rd_kafka_t *producer, const rd_kafka_message_t *message, void *opaque) {
  (void)producer;
  struct run *run = opaque;
  struct closed_loop *loop = run->loop;
  struct slot *slot = message->_private;
  int64_t now = now_ns();
  if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
    loop->errors++;
  } else {
    loop->acked[slot->id / 64] |= UINT64_C(1) << slot->id % 64;
    if (now > run->from_ns && now < run->until_ns && loop->samples < loop->sample_limit) {
      int64_t took = now - slot->sent_ns;
      loop->samples_ns[loop->samples++] = took > UINT32_MAX ? UINT32_MAX : (uint32_t)took;
    }
  }
  if (now < run->until_ns && run->next_id < loop->id_limit) {
    send_next(run, slot);
  } else {
    run->in_flight--;
  }
}

static rd_kafka_t *new_producer(struct run *run, char *error, size_t error_bytes) {
  rd_kafka_conf_t *conf = rd_kafka_conf_new();
  const char *settings[][2] = {{"bootstrap.servers", run->loop->brokers}, {"acks", run->loop->acks}, {"linger.ms", "0"}};
  for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
    if (rd_kafka_conf_set(conf, settings[i][0], settings[i][1], error, error_bytes) != RD_KAFKA_CONF_OK) {
      rd_kafka_conf_destroy(conf);
      return NULL;
    }
  }
  rd_kafka_conf_set_opaque(conf, run);
  rd_kafka_conf_set_dr_msg_cb(conf, delivered);
  rd_kafka_t *producer = rd_kafka_new(RD_KAFKA_PRODUCER, conf, error, error_bytes);
  if (producer == NULL) rd_kafka_conf_destroy(conf);
  return producer;
}

char *closed_loop_run(struct closed_loop *loop) {
  char error[512];
  struct run run = {.loop = loop, .in_flight = loop->in_flight};
  rd_kafka_t *producer = new_producer(&run, error, sizeof error);
  if (producer == NULL) return strdup(error);
  run.topic = rd_kafka_topic_new(producer, loop->topic, NULL);
  run.from_ns = now_ns() + (int64_t)(loop->warmup_s * 1e9);
  run.until_ns = run.from_ns + (int64_t)(loop->measured_s * 1e9);
  run.slots = calloc((size_t)loop->in_flight, sizeof *run.slots);
  char *values = malloc((size_t)loop->in_flight * loop->value_bytes);
  for (int i = 0; i < loop->in_flight; i++) {
    run.slots[i].value = values + (size_t)i * loop->value_bytes;
    send_next(&run, &run.slots[i]);
  }
  while (run.in_flight > 0) rd_kafka_poll(producer, 100);
  rd_kafka_topic_destroy(run.topic);
  rd_kafka_destroy(producer);
  free(values);
  free(run.slots);
  return NULL;
}

const char *closed_loop_version(void) { return rd_kafka_version_str(); }
