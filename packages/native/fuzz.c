// A small, repeatable mutation fuzzer of the pure parts, under the sanitizers. fuzz [ROUNDS] [SEED]
#include "attribute.h"
#include "libvirt.h"
#include "order.h"
#include "places.h"
#include "procfs.h"
#include "rpc.h"
#include "same.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VM "11111111-2222-3333-4444-555555555555"
#define SEED(text) {text, sizeof text - 1}
static const struct { const char *text; size_t length; } corpus[] = {
  SEED("fenceline-peer 1"),
  SEED("fence 00112233445566778899aabbccddeeff token=- deadline_ms=900 vms=500 grace_ms=20 host=" VM),
  SEED("count 0011223344556677 token=00112233445566778899aabbccddeeff deadline_ms=300000 vms=1"),
  SEED("vm " VM " epoch=7 disk=file:/a%20b disk=block:/dev/x disk=rbd:pool/i disk=network:h:1 future=x"),
  SEED("vm " VM " epoch=7 disk=uring-file:/a disk=uring-block:/dev/x"),
  SEED("qemu-kvm\0-blockdev\0{\"driver\":\"file\",\"aio\" : \"io_uring\",\"x\":1}\0-drive\0file=/x,aio=io_uring\0"),
  SEED("42 (a) b (c) Z 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 1 0 987 1 2\n"),
  SEED("pos:\t0\nflags:\t0100002\nmnt_id:\t1\nino:\t5\n"),
  SEED("  0: 0100007F:1F90 0100007F:C350 04 00000000:00000000 00:00000000 00000000 0 0 0 1 0 100 0 0 10 0"),
  SEED("  1: 0100007F:D38C 0100007F:E4ED 01 00000000:00000000 00:00000000 00000000     0        0 0 1 0000"),
  SEED("34 21 259:3 /a /b rw - ext4 /dev/x rw"),
  SEED("/usr/bin/qemu-system-x86_64\0-name\0guest=web,x=on\0-uuid\0" VM "\0-fw_cfg\0name=opt/org.fenceline/run,string=42\0-chardev\0path=/x/domain-5-web/m\0"),
  SEED("/usr/bin/swtpm\0socket\0--tpmstate\0dir=/var/lib/libvirt/swtpm/" VM "/tpm2\0"),
  SEED("virtiofsd\0--socket=/var/lib/libvirt/qemu/domain-3-web/fs0\0"),
  SEED("@ " VM "\nweb\n\n5\n\nrunning\n\n@ 11111111-2222-3333-4444-555555555556\ndb\n\n-\n\nshut off\n\n"),
  SEED("error: failed to get domain '" VM "'\nerror: Domain not found: no domain\n"),
  SEED("<domstatus pid='12'><uuid>" VM "</uuid><fenceline:run x='1' epoch='9'/>"),
  SEED("\0\0\0\70 \0\200\206\0\0\0\1\0\0\0\30\0\0\0\1\0\0\0\7\0\0\0\0\0\0\0\3web\0" "0123456789abcdef" "\0\0\0\5"),
  SEED("5-my-web-fs0-fs.pid"), SEED("5-web-ua-x-fs.pid"),
};
enum { SEEDS = sizeof corpus / sizeof *corpus, ROOM = 4096 };
static uint64_t state;
static uint32_t any(uint32_t below) {
  state ^= state << 13, state ^= state >> 7, state ^= state << 17;
  return (uint32_t)(state >> 16) % below;
}
static size_t mutate(char *text) {
  static const char odd[] = "\0\n \t%/=:-()'\"<>0123456789abcdefZ\xff";
  size_t seed = any(SEEDS), n = corpus[seed].length;
  memcpy(text, corpus[seed].text, n);
  for (uint32_t i = any(6); i > 0 && n > 0; i--) {
    size_t at = any((uint32_t)n), m;
    switch (any(5)) {
      case 0: text[at] = odd[any(sizeof odd - 1)]; break;
      case 1: text[at] = (char)any(256); break;
      case 2: n = at; break;
      case 3: m = any((uint32_t)(n - at)) + 1; memmove(text + at, text + at + m, n - at - m), n -= m; break;
      default:
        m = any((uint32_t)(n - at)) + 1;
        if (n + m < ROOM) memmove(text + at + m, text + at, n - at), n += m;
    }
  }
  return n;
}
/** Another reader of the same line: what is drained by it must be a state of its own, or nothing unsent of nobody. */
static void check_socket(const char *text, size_t n) {
  static char copy[ROOM + 1];
  static const char SENT[] = " 05 06 0A ";
  char state[8] = "", queue[64] = "", inode[64] = "", word[12];
  if (!tcp_line_drained(text, n) || n == 0 || memchr(text, 0, n)) return;
  memcpy(copy, text, n), copy[n] = 0;
  for (char *c = copy; *c; c++)
    if (strchr("\t\n\v\f\r", *c)) *c = 'x'; /* only blanks part words there */
  if (sscanf(copy, "%*s %*s %*s %7s %63s %*s %*s %*s %*s %63s", state, queue, inode) != 3) abort();
  snprintf(word, sizeof word, " %s ", state);
  if (strcmp(inode, "0") != 0 || strstr(SENT, word)) return;
  if (strchr("49B", state[1]) || queue[strspn(queue, "0")] != ':') abort();
}
static void run(struct order *order, const char *text, size_t n) {
  static struct told told[MAX_VMS];
  struct stat_line stat_line;
  struct named named;
  unsigned flags;
  char name[MAX_NAME];
  int64_t domain;
  order_hello(text, n);
  order->vms = order->all_disks = order->used = 0;
  if (!order_vm(order, text, n)) {
    if (order->vms != 1 || order->used > sizeof order->text) abort();
    for (uint32_t d = 0; d < order->all_disks; d++)
      if (strpbrk(disk_path(order, d), "\n\r\t")) abort(); /* no control character may come out */
  }
  libvirt_answer(order, text, n, text, n, told);
  libvirt_answer(order, text, n, "", 0, told);
  order_head(order, text, n);
  stat_parse(text, n, &stat_line);
  fdinfo_flags(text, n, &flags);
  uint64_t inode, device;
  int64_t mount;
  fdinfo_identity(text, n, &inode, &mount);
  mountinfo_line(text, n, &mount, &device);
  check_socket(text, n);
  if (!places_take(text, n)) places_forget();
  attribute(text, n, &named);
  is_name_of_side(named.side_name, named.guest);
  libvirt_refused(text, n);
  libvirt_status_epoch(text, n, 12, VM);
  struct rpc_reply reply;
  struct rpc_domain about;
  int32_t number;
  if (rpc_reply((const unsigned char *)text, n, &reply)) {
    unsigned char question[RPC_ASKS];
    if (rpc_domain_of(&reply, &about) && rpc_state(question, 1, &about) > sizeof question) abort();
    rpc_is_open(&reply), rpc_number_at(&reply, 3, &number);
  }
  char *file = malloc(n + 1);
  memcpy(file, text, n), file[n] = 0;
  libvirt_side_file(file, &domain, name, sizeof name);
  free(file);
}
int main(int argc, char **argv) {
  long rounds = argc > 1 ? atol(argv[1]) : 100000;
  state = argc > 2 ? strtoull(argv[2], NULL, 10) | 1 : 88172645463325252u;
  struct order *order = calloc(1, sizeof *order);
  static char text[ROOM];
  for (long i = 0; i < rounds; i++) {
    size_t n = mutate(text);
    char *exact = malloc(n ? n : 1); /* a read behind the end is found */
    memcpy(exact, text, n);
    run(order, exact, n);
    free(exact);
  }
  printf("%ld inputs, no fault\n", rounds);
  free(order);
  return 0;
}
