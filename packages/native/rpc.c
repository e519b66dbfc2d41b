#include "rpc.h"
#include <string.h>

static const uint32_t PROGRAM = 0x20008086, VERSION = 1;
enum { CALL = 0, REPLY = 1, OK = 0, FAILED = 1 };

static unsigned char *put(unsigned char *to, uint32_t n) {
  for (int i = 0; i < 4; i++) to[i] = (unsigned char)(n >> (24 - 8 * i));
  return to + 4;
}
static uint32_t get(const unsigned char *at) {
  return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}
static size_t padded(size_t length) { return (length + 3) & ~(size_t)3; }

static unsigned char *begin(unsigned char *to, enum rpc_call call, uint32_t serial) {
  const uint32_t head[] = {0, PROGRAM, VERSION, call, CALL, serial, OK};
  for (size_t i = 0; i < sizeof head / sizeof *head; i++) to = put(to, head[i]);
  return to;
}
static size_t finish(unsigned char *to, const unsigned char *end) {
  put(to, (uint32_t)(end - to));
  return (size_t)(end - to);
}
static unsigned char *put_text(unsigned char *to, const char *text) {
  size_t n = strlen(text);
  to = put(to, (uint32_t)n);
  memset(to, 0, padded(n));
  memcpy(to, text, n);
  return to + padded(n);
}
static unsigned char *put_domain(unsigned char *to, const struct rpc_domain *domain) {
  to = put_text(to, domain->name);
  memcpy(to, domain->uuid, 16);
  return put(to + 16, (uint32_t)domain->number);
}

size_t rpc_open(unsigned char *to, uint32_t serial, const char *uri) {
  return finish(to, put(put_text(put(begin(to, RPC_OPEN, serial), 1), uri), 0));
}
size_t rpc_ways_in(unsigned char *to, uint32_t serial) { return finish(to, begin(to, RPC_WAYS_IN, serial)); }
size_t rpc_by_uuid(unsigned char *to, uint32_t serial, const unsigned char uuid[16]) {
  unsigned char *at = begin(to, RPC_BY_UUID, serial);
  memcpy(at, uuid, 16);
  return finish(to, at + 16);
}
size_t rpc_by_number(unsigned char *to, uint32_t serial, int32_t number) {
  return finish(to, put(begin(to, RPC_BY_NUMBER, serial), (uint32_t)number));
}
size_t rpc_state(unsigned char *to, uint32_t serial, const struct rpc_domain *domain) {
  return finish(to, put(put_domain(begin(to, RPC_STATE, serial), domain), 0));
}
size_t rpc_destroy(unsigned char *to, uint32_t serial, const struct rpc_domain *domain) {
  return finish(to, put_domain(begin(to, RPC_DESTROY, serial), domain));
}

size_t rpc_length(const unsigned char head[4]) {
  uint32_t length = get(head);
  return length >= RPC_HEAD && length <= RPC_MOST ? length : 0;
}
bool rpc_reply(const unsigned char *packet, size_t length, struct rpc_reply *out) {
  if (length < RPC_HEAD || rpc_length(packet) != length) return false;
  uint32_t status = get(packet + 24);
  if (get(packet + 4) != PROGRAM || get(packet + 8) != VERSION || get(packet + 16) != REPLY) return false;
  if (status != OK && status != FAILED) return false;
  *out = (struct rpc_reply){get(packet + 12), get(packet + 20), status == FAILED, packet + RPC_HEAD, length - RPC_HEAD};
  return true;
}
bool rpc_number_at(const struct rpc_reply *reply, size_t place, int32_t *out) {
  if (reply->length / 4 <= place) return false;
  *out = (int32_t)get(reply->body + 4 * place);
  return true;
}
bool rpc_domain_of(const struct rpc_reply *reply, struct rpc_domain *out) {
  if (reply->failed || reply->length < 4) return false;
  size_t name = get(reply->body);
  /* safety: I3: all of it or nothing: a name that is cut would be another VM's */
  if (name == 0 || name >= sizeof out->name || reply->length != 4 + padded(name) + 16 + 4) return false;
  memcpy(out->name, reply->body + 4, name);
  out->name[name] = 0;
  if (strlen(out->name) != name || strchr(out->name, '\n')) return false;
  memcpy(out->uuid, reply->body + 4 + padded(name), 16);
  out->number = (int32_t)get(reply->body + 4 + padded(name) + 16);
  return true;
}
bool rpc_is_open(const struct rpc_reply *reply) {
  int32_t count, way;
  return !reply->failed && rpc_number_at(reply, 0, &count) && count == 1 && rpc_number_at(reply, 1, &way) && way == 0;
}
