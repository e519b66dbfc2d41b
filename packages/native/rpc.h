#pragma once
// Packets of libvirt's own protocol (XDR over its socket), as far as this program speaks it. Pure.
#include "limits.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum rpc_call { RPC_OPEN = 1, RPC_DESTROY = 12, RPC_BY_NUMBER = 22, RPC_BY_UUID = 24, RPC_WAYS_IN = 66, RPC_STATE = 212 };
enum { RPC_HEAD = 28, RPC_ASKS = 400, RPC_MOST = 65536, RPC_NO_DOMAIN = 42, RPC_SHUT_OFF = 5, RPC_CRASHED = 6 };

struct rpc_domain { char name[MAX_NAME]; unsigned char uuid[16]; int32_t number; };
/** `failed`: the body is an error of libvirt's. */
struct rpc_reply { uint32_t call, serial; bool failed; const unsigned char *body; size_t length; };

/** A question is at most RPC_ASKS long; its length. */
size_t rpc_open(unsigned char *to, uint32_t serial, const char *uri);
size_t rpc_ways_in(unsigned char *to, uint32_t serial);
size_t rpc_by_uuid(unsigned char *to, uint32_t serial, const unsigned char uuid[16]);
size_t rpc_by_number(unsigned char *to, uint32_t serial, int32_t number);
size_t rpc_state(unsigned char *to, uint32_t serial, const struct rpc_domain *domain);
size_t rpc_destroy(unsigned char *to, uint32_t serial, const struct rpc_domain *domain);

/** Length of the packet that begins so; 0: that is none of ours. */
size_t rpc_length(const unsigned char head[4]);
/** False: not a reply to a call (an event, another protocol, a part of one). */
bool rpc_reply(const unsigned char *packet, size_t length, struct rpc_reply *out);
/** The number at this place of the body (each is 4 bytes long): a state, an error's code. */
bool rpc_number_at(const struct rpc_reply *reply, size_t place, int32_t *out);
bool rpc_domain_of(const struct rpc_reply *reply, struct rpc_domain *out);
/** Nobody asks who we are: the list of ways in is "none" alone. */
bool rpc_is_open(const struct rpc_reply *reply);
