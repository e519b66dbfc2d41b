#include "talk.h"
#include "rpc.h"
#include "memory.h"
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

/* The connection is of the helper that made it; the main process has none. */
static int line = -1;
/* Where nobody needs it yet, no step of connecting takes longer: a helper that comes back by itself is not lost. */
enum { PATIENCE_MS = 1200 };
static bool patient = true, hangs;
static struct { dev_t device; ino_t inode; struct timespec made; } place;
static uint32_t serial;
static TABLE unsigned char packet[RPC_MOST];

// ── the connection ───────────────────────────────────────────────────────────────────────────────
static enum talked hang_up(void) {
  if (line >= 0) close(line);
  line = -1;
  return TALK_NOT;
}
static bool give(const unsigned char *from, size_t length) {
  while (length > 0) {
    ssize_t n = send(line, from, length, MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue; /* without memory nothing passes here, whatever is given back for it */
    if (n <= 0) return false;
    from += n, length -= (size_t)n;
  }
  return true;
}
static bool take(unsigned char *to, size_t length) {
  while (length > 0) {
    ssize_t n = recv(line, to, length, 0);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) hangs = true;
    if (n <= 0) return false;
    to += n, length -= (size_t)n;
  }
  return true;
}
/** The next reply; it is good until the one after it. */
static bool hear(struct rpc_reply *reply) {
  if (!take(packet, 4)) return false;
  size_t length = rpc_length(packet);
  return length > 0 && take(packet + 4, length - 4) && rpc_reply(packet, length, reply);
}
static bool ask_one(const unsigned char *question, size_t length, struct rpc_reply *reply) {
  /* safety: F34: only the answer to this very question was said after the barrier */
  return give(question, length) && hear(reply) && reply->serial == serial;
}
static bool find_place(const struct workshop *w, const char **path, struct stat *is) {
  static const char *const usual[] = {"/run/libvirt/libvirt-sock", "/run/libvirt/virtqemud-sock"};
  struct stat other;
  *path = w->options->socket;
  if (w->options->socket[0]) return stat(*path, is) == 0;
  *path = usual[0];
  /* Where there are two daemons virsh knows which one to ask. */
  if (stat(usual[0], is) == 0) return stat(usual[1], &other) != 0 && errno == ENOENT;
  *path = usual[1];
  return stat(usual[1], is) == 0;
}
static bool is_same_place(const struct stat *is) {
  return place.device == is->st_dev && place.inode == is->st_ino && place.made.tv_sec == is->st_ctim.tv_sec &&
         place.made.tv_nsec == is->st_ctim.tv_nsec;
}
/** Nothing is said there unasked: whatever can be read now is its end, or not what we speak. */
static bool is_quiet(void) {
  struct pollfd one = {line, POLLIN, 0};
  return poll(&one, 1, 0) == 0;
}
static bool introduce(void) {
  static unsigned char question[RPC_ASKS];
  struct rpc_reply reply;
  if (!ask_one(question, rpc_ways_in(question, ++serial), &reply) || !rpc_is_open(&reply)) return false;
  return ask_one(question, rpc_open(question, ++serial, "qemu:///system"), &reply) && !reply.failed;
}
/** 0: as long as it takes. */
static bool limit_waits(int ms) {
  struct timeval limit = {ms / 1000, ms % 1000 * 1000};
  return setsockopt(line, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) == 0 &&
         setsockopt(line, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) == 0;
}
static bool reach(const struct sockaddr_un *address) {
  if (connect(line, (const struct sockaddr *)address, sizeof *address) == 0) return true;
  if (errno == EAGAIN) hangs = true; /* its queue is full */
  return false;
}
enum talked talk_ready(const struct workshop *w) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  const char *path;
  struct stat is;
  if (strcmp(w->options->uri, "qemu:///system") != 0 || w->options->never_talks) return TALK_NOT;
  bool can = memory_ready(packet, sizeof packet) && find_place(w, &path, &is) && strlen(path) < sizeof address.sun_path;
  if (!can) return hang_up();
  /* safety: F21: a daemon that was replaced knows nothing any more, whatever its old connection says */
  if (line >= 0 && is_same_place(&is) && is_quiet()) return TALK_DONE;
  hang_up();
  strcpy(address.sun_path, path);
  line = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  hangs = false;
  if (line < 0 || !limit_waits(patient ? 0 : PATIENCE_MS) || !reach(&address) || !introduce() || !limit_waits(0)) return hang_up();
  place.device = is.st_dev, place.inode = is.st_ino, place.made = is.st_ctim;
  return TALK_DONE;
}

bool talk_connected(void) { return line >= 0; }
bool talk_hangs(void) { return hangs; }

// ── questions ────────────────────────────────────────────────────────────────────────────────────
static TABLE struct { unsigned char uuid[16]; const char *text; struct rpc_domain domain; } asked[MAX_VMS];
static uint32_t asked_count, answered;
static TABLE char said[2][65536];
static size_t said_length[2];

static TABLE unsigned char questions[MAX_VMS * (RPC_HEAD + 16)];

/** Without memory a page that is missing would keep this helper waiting, and libvirt's answer with it. */
static bool has_room(uint32_t vms) {
  return memory_ready(asked, vms * sizeof *asked) && memory_ready(said, sizeof said) &&
         memory_ready(questions, vms * (RPC_HEAD + 16));
}
static void write_said(const struct workshop *w, int ask) {
  for (int i = 0; i < 2; i++) {
    for (size_t at = 0; at < said_length[i];) {
      ssize_t n = write(w->ask_file[ask][i], said[i] + at, said_length[i] - at);
      if (n <= 0) break; /* then this VM's answer is not whole, and counts for nothing */
      at += (size_t)n;
    }
    said_length[i] = 0;
  }
}
static void bytes_of(const char *text, unsigned char uuid[16]) {
  struct uuid id;
  uuid_parse(text, 36, &id);
  for (int i = 0; i < 8; i++) uuid[i] = (unsigned char)(id.high >> (56 - 8 * i)), uuid[8 + i] = (unsigned char)(id.low >> (56 - 8 * i));
}
/** Whom the words for virsh ask about: "echo @ UUID; …". */
static void read_words(const char *words) {
  static const char MARK[] = "echo @ ";
  asked_count = answered = 0, said_length[0] = said_length[1] = 0;
  while (asked_count < MAX_VMS && (words = strstr(words, MARK))) {
    words += sizeof MARK - 1;
    if (!uuid_is_canonical(words, 36)) continue;
    asked[asked_count].text = words;
    bytes_of(words, asked[asked_count++].uuid);
  }
}
static bool ask_all(uint32_t first) {
  size_t length = 0;
  for (uint32_t i = 0; i < asked_count; i++) length += rpc_by_uuid(questions + length, first + i, asked[i].uuid);
  return give(questions, length);
}
static void say_state(uint32_t i, int32_t state) {
  const struct rpc_domain *d = &asked[i].domain;
  char number[16] = "-";
  if (d->number >= 0) snprintf(number, sizeof number, "%d", d->number);
  const char *word = state == RPC_SHUT_OFF ? "shut off" : state == RPC_CRASHED ? "crashed" : "running";
  said_length[0] += (size_t)sprintf(said[0] + said_length[0], "@ %.36s\n%s\n%s\n%s\n", asked[i].text, d->name, number, word);
}
static void say_unknown(uint32_t i) {
  said_length[0] += (size_t)sprintf(said[0] + said_length[0], "@ %.36s\n", asked[i].text);
  said_length[1] += (size_t)sprintf(said[1] + said_length[1], "error: failed to get domain '%.36s'\n", asked[i].text);
}
/** One reply; false: what libvirt says there is not understood. */
static bool take_reply(const struct rpc_reply *reply, uint32_t first) {
  static unsigned char question[RPC_ASKS];
  uint32_t i = reply->serial - first;
  int32_t number;
  if (i >= 2 * asked_count) return false;
  if (i < asked_count && reply->failed) {
    /* safety: F21: only libvirt's "there is no such domain" says so; any other error says nothing */
    if (!rpc_number_at(reply, 0, &number) || number != RPC_NO_DOMAIN) return false;
    say_unknown(i), answered++;
    return true;
  }
  if (i < asked_count)
    return rpc_domain_of(reply, &asked[i].domain) && memcmp(asked[i].domain.uuid, asked[i].uuid, 16) == 0 &&
           give(question, rpc_state(question, first + asked_count + i, &asked[i].domain));
  if (reply->failed || !rpc_number_at(reply, 0, &number)) return false;
  say_state(i - asked_count, number), answered++;
  return true;
}
void talk_prepare(const struct workshop *w) {
  hangs = patient = false;
  if (has_room(FIRST_SIZE.vms)) talk_ready(w);
  patient = true;
}
enum talked talk_ask(const struct workshop *w, const struct slot *s) {
  struct rpc_reply reply;
  if (!has_room(w->order->vms) || talk_ready(w) != TALK_DONE) return TALK_NOT;
  read_words(w->shared->words[s->ask]);
  uint32_t first = serial + 1;
  serial += 2 * asked_count;
  if (!ask_all(first)) return hang_up();
  while (answered < asked_count) {
    /* What is known is there before we wait: another VM's start may hold the rest. */
    if (is_quiet() || said_length[0] > sizeof said[0] - 1024 || said_length[1] > sizeof said[1] - 256) write_said(w, s->ask);
    if (!hear(&reply) || !take_reply(&reply, first)) return hang_up();
  }
  write_said(w, s->ask);
  return TALK_DONE;
}

enum talked talk_destroy(const struct workshop *w, const struct slot *s) {
  static unsigned char question[RPC_ASKS];
  struct rpc_domain domain;
  struct rpc_reply reply;
  unsigned char uuid[16];
  if (s->number < 0 || s->number > INT32_MAX || talk_ready(w) != TALK_DONE) return TALK_NOT;
  if (!ask_one(question, rpc_by_number(question, ++serial, (int32_t)s->number), &reply)) return hang_up();
  if (reply.failed) return TALK_REFUSED;
  bytes_of(w->order->vm[s->item].uuid, uuid);
  /* safety: I3, F35: it is asked again whose the number is, right before, and then meant by number and uuid */
  if (!rpc_domain_of(&reply, &domain) || memcmp(domain.uuid, uuid, 16) != 0 || domain.number != s->number) return TALK_REFUSED;
  if (!ask_one(question, rpc_destroy(question, ++serial, &domain), &reply)) hang_up();
  else if (!reply.failed) return TALK_DONE;
  return TALK_REFUSED;
}
