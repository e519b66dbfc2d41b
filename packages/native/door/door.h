#pragma once
// The second way in (F27): mutual TLS on a port of our own, in front of the fence program's local socket.
#include <openssl/ssl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>

#define MAX_GUESTS 16         /* connections at a time */
#define MAX_OF_ONE 2          /* of them with one certificate: a line, and an order beside it */
#ifndef HANDSHAKE_MS
#define HANDSHAKE_MS 5000     /* who has not shown a certificate by then is dropped */
#endif
#define STARVED_MS 5          /* until it is tried again where memory is short */
#define FLOW_BYTES 16384      /* waits for the other side in each direction */
#define TURNS 64              /* reads and writes of one connection before the others get a turn */
#define HEAP_BYTES (4 << 20)  /* taken and locked at start: TLS needs about 60 KiB for a connection */

/** Milliseconds since boot, sleep included. */
int64_t door_clock_ms(void);

/** TLS 1.3 only, certificates of both sides by one authority; NULL: said on standard error. */
SSL_CTX *tls_begin(const char *ca, const char *cert, const char *key);
/** safety: F27: only a sibling agent (OU of its certificate) comes to the program behind the door. */
bool tls_is_sibling(SSL *ssl);
#define WHO_BYTES 32
/** Digest of the certificate that was shown. */
bool tls_who(SSL *ssl, unsigned char who[WHO_BYTES]);

/** Bytes on their way in one direction. */
struct flow { unsigned char data[FLOW_BYTES]; size_t from, to; bool ended; };
struct guest {
  int tcp;      /* -1: no guest */
  int inner;    /* to the program, until it has sent the two pipes; -1: none */
  int to, from; /* to the program and from it; -1: none, or closed */
  SSL *ssl;
  bool greeted, again, tls_wants_write;
  bool starved; /* there is no memory for what the program should get: soon again */
  int64_t until;  /* of the handshake */
  uint64_t turn;  /* later ones have a higher number */
  unsigned char who[WHO_BYTES]; /* once greeted */
  struct flow in, out;
};

/** Makes as much progress as it can without waiting; false: it is over. */
bool guest_step(struct guest *guest, const char *socket_path);
enum { GUEST_POLLS = 3 };
/** What it waits for now; fills all entries, fd -1 for none. */
void guest_polls(const struct guest *guest, struct pollfd polls[GUEST_POLLS]);
/** A place for one, with nothing in it. */
void guest_clear(struct guest *guest);
void guest_end(struct guest *guest);
