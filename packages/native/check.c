// Unit tests of the pure parts, under the sanitizers. Exact-size heap copies: a read behind the end is found.
#include "attribute.h"
#include "libvirt.h"
#include "order.h"
#include "owner.h"
#include "places.h"
#include "procfs.h"
#include "rpc.h"
#include "same.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VM "11111111-2222-3333-4444-555555555555"
#define OTHER "11111111-2222-3333-4444-555555555556"
#define HEAD "fence 00112233445566778899aabbccddeeff token=- deadline_ms=900 vms=1"
static int failures, checks;
#define CHECK(what) check(what, #what, __LINE__)
static void check(bool ok, const char *what, int line) {
  checks++;
  if (!ok) failures++, printf("check.c:%d: %s\n", line, what);
}
static char *exact(const char *text, size_t n) {
  char *copy = malloc(n ? n : 1);
  memcpy(copy, text, n);
  return copy;
}

static struct order *order;
static bool order_says(const char *head, const char *vm, const char *word) {
  char *a = exact(head, strlen(head)), *b = exact(vm, strlen(vm));
  const char *why = order_head(order, a, strlen(head));
  if (!why) why = order_vm(order, b, strlen(vm));
  free(a), free(b);
  return word ? why && strncmp(why, word, strlen(word)) == 0 : !why;
}
static void check_order(void) {
  order = calloc(1, sizeof *order);
  CHECK(!order_hello("fenceline-peer 1", 16));
  CHECK(order_hello("fenceline-peer 2", 16) != NULL);
  CHECK(order_says(HEAD, "vm " VM " epoch=7 disk=file:/a%20b x=1 disk=rbd:pool/x", NULL));
  CHECK(order->all_disks == 2 && strcmp(disk_path(order, 0), "/a b") == 0 && strcmp(disk_source(order, 0), "/a%20b") == 0);
  CHECK(order->vm[0].epoch == 7 && order->deadline_ms == 900 && order->grace_ms == 300);
  CHECK(order_says(HEAD " grace_ms=020 host=" OTHER, "vm " VM " epoch=0", NULL) && order->grace_ms == 20);
  CHECK(strncmp(order_vm(order, "vm " VM " epoch=8", 47), "bad-vm", 6) == 0);
  CHECK(order_says("fence xyz token=- deadline_ms=900 vms=1", "", "bad-order"));
  CHECK(order_says("kill 00112233445566778899aabbccddeeff token=- deadline_ms=900 vms=1", "", "bad-order"));
  CHECK(order_says("fence 00112233445566778899aabbccddeeff token=- deadline_ms=900 vms=501", "", "too-many"));
  CHECK(order_says("fence 00112233445566778899aabbccddeeff token=zz deadline_ms=900 vms=1", "", "bad-token"));
  CHECK(order_says("fence 00112233445566778899aabbccddeeff token=- deadline_ms=300001 vms=1", "", "bad-order"));
  CHECK(order_says(HEAD, "vm " VM "x epoch=7", "bad-vm"));
  CHECK(order_says(HEAD, "vm " VM " epoch=007", "bad-vm"));
  CHECK(order_says(HEAD, "vm " VM " epoch=12345678901234567", "bad-vm"));
  CHECK(order_says(HEAD, "vm " VM " epoch=7 disk=file:relative", "bad-disk"));
  CHECK(order_says(HEAD, "vm " VM " epoch=7 disk=file:/x%0Atouch", "bad-disk"));
  CHECK(order_says(HEAD, "vm " VM " epoch=7 disk=file:/x%2", "bad-disk"));
  CHECK(order_says(HEAD, "vm " VM " epoch=7 disk=file:", "bad-disk"));
  CHECK(order_says(HEAD, "vm " VM " epoch=7 disk=tape:/x", "bad-disk"));
  CHECK(order_says(HEAD, "vm " VM " epoch=7 disk=uring-file:/a disk=uring-block:/b", NULL) && disk_is_local(order, 1));
  CHECK(order->disk[0].kind == KIND_URING_FILE && order->disk[1].kind == KIND_URING_BLOCK);
  CHECK(order_says(HEAD, "vm " VM " epoch=7 disk=uring-file:a", "bad-disk") && order_says(HEAD, "vm " VM " epoch=7 disk=uring-rbd:a", "bad-disk"));
  char many[2000] = "vm " VM " epoch=7";
  for (int i = 0; i < MAX_DISKS; i++) strcat(many, " disk=file:/a");
  CHECK(order_says(HEAD, many, NULL));
  CHECK(order_says(HEAD, strcat(many, " disk=file:/a"), "too-many"));
}

/** A line of /proc/net/tcp: its state, what is queued, and whose it is. */
static bool drained(const char *state, const char *queue, const char *inode) {
  char line[200];
  int n = snprintf(line, sizeof line, "  0: 0100007F:1F90 0100007F:C350 %s %s 00:00000000 00000000 0 0 %s 1 0000 100 0", state, queue, inode);
  char *copy = exact(line, (size_t)n);
  bool is = tcp_line_drained(copy, (size_t)n);
  free(copy);
  return is;
}
static void check_sockets(void) {
  static const char NOTHING[] = "00000000:00000009", UNSENT[] = "00000001:00000000";
  static const struct { char state[3]; bool nothing, unsent; } states[] = {
    {"01", true, false}, {"02", true, false}, {"03", true, false}, {"04", false, false}, {"05", true, true}, {"06", true, true},
    {"07", true, false}, {"08", true, false}, {"09", false, false}, {"0A", true, true}, {"0B", false, false}, {"0C", true, false},
    {"0D", true, false}, {"14", false, false}, {"x4", false, false},
  };
  for (size_t i = 0; i < sizeof states / sizeof *states; i++) {
    CHECK(drained(states[i].state, NOTHING, "0") == states[i].nothing);
    CHECK(drained(states[i].state, UNSENT, "0") == states[i].unsent);
    CHECK(drained(states[i].state, UNSENT, "4711") && drained(states[i].state, UNSENT, "01"));
  }
  CHECK(!drained("01", "00000000", "0") && !drained("01", ":0", "0") && !drained("01", "0x0:0", "0") && !drained("01", "0000000A:0", "0"));
  CHECK(!drained("4", NOTHING, "0") && !drained("004", NOTHING, "4711"));
  CHECK(!tcp_line_drained("junk", 4) && !tcp_line_drained("0: a b 06 0:0 0:0 0 0 0", 23) && tcp_line_drained("", 0));
}

static void check_procfs(void) {
  struct stat_line s;
  static const char LINE[] = "42 (a) b (c) Z 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 1 0 987 1 2\n";
  char *text = exact(LINE, sizeof LINE - 1);
  CHECK(stat_parse(text, sizeof LINE - 1, &s));
  CHECK(strcmp(s.comm, "a) b (c") == 0 && s.state == 'Z' && s.parent == 1 && s.group == 2 && s.flags == 6);
  CHECK(s.threads == 1 && s.start == 987);
  for (size_t n = 0; n < 57; n++) {
    char *cut = exact(LINE, n);
    CHECK(!stat_parse(cut, n, &s) || s.start == 987);
    free(cut);
  }
  free(text);
  static const char WHOLE[] =
    "6 (bash) S 1 0 0 0 -1 4194560 211 0 0 0 0 0 0 0 20 0 1 0 987 7000000 800 18446744073709551615 1 2 3 0 0 0 65536 4 "
    "65538 1 0 0 17 1 0 0 0 0 0 9 9 9 140720830444134 140720830450234 140720830450234 140720830450670 0\n";
  CHECK(stat_parse(WHOLE, sizeof WHOLE - 1, &s) && s.start == 987 && s.arguments == 6100);
  CHECK(stat_parse(WHOLE, 90, &s) && s.arguments == 0);
  unsigned flags;
  CHECK(fdinfo_flags("pos:\t0\nflags:\t0100002\nmnt_id:\t1\n", 32, &flags) && (flags & 3) == 2);
  CHECK(!fdinfo_flags("pos:\t0\nflags:\t01000", 19, &flags));
  CHECK(!fdinfo_flags("", 0, &flags));
  uint64_t inode, device;
  int64_t mount;
  static const char INFO[] = "pos:\t0\nflags:\t0100001\nmnt_id:\t34\nino:\t5678\n";
  CHECK(fdinfo_identity(INFO, sizeof INFO - 1, &inode, &mount) && inode == 5678 && mount == 34);
  CHECK(!fdinfo_identity(INFO, sizeof INFO - 12, &inode, &mount) && !fdinfo_identity("", 0, &inode, &mount));
  static const char MOUNT[] = "34 21 259:3 /a /b rw - ext4 /dev/x rw";
  CHECK(mountinfo_line(MOUNT, sizeof MOUNT - 1, &mount, &device) && mount == 34 && device == ((uint64_t)259 << 32 | 3));
  CHECK(!mountinfo_line(MOUNT, 9, &mount, &device) && !mountinfo_line("x", 1, &mount, &device));
  check_sockets();
}

static bool takes(const char *line) {
  char *copy = exact(line, strlen(line));
  bool taken = places_take(copy, strlen(line));
  free(copy);
  return taken;
}
static void check_places(void) {
  places_forget();
  CHECK(place_of("/a") == 0);
  CHECK(takes("21 1 8:1 / / rw - ext4 /dev/x rw") && takes("34 21 0:44 / /srv/a\\040b rw shared:1 - nfs4 h:/x rw") && takes("35 21 0:45 / /srv rw - xfs y rw"));
  CHECK(takes("36 21 0:46 / /srv rw - nfs y rw") && takes("37 21 0:46 / /x\\777 rw - nfs y rw"));
  CHECK(!takes("38 21 0:46 /") && !takes("38 21 0:46 / /y") && !takes("38 21 0:46 / y rw") && !takes("") && !takes("38 21 0:46 /  rw"));
  CHECK(place_of("/b") == 1 && place_of("/srvx/a") == 1 && place_of("/srv/a b/c") == 2 && place_of("/srv/a") == 4 && place_of("/srv") == 4);
  CHECK(place_of("/x\\777/a") == 5);
  int taken = 0;
  while (takes("21 1 8:1 / /somewhere/far/away rw - ext4 /dev/x rw")) taken++;
  CHECK(taken == 512 - 5 && place_of("/somewhere/far/away/a") == 512);
  places_forget();
}

static bool owner_says(const char *text, size_t n, bool root, bool inner) {
  struct owner owner;
  char *copy = exact(text, n);
  bool ok = owner_parse(copy, n, &owner) && owner.root == root && owner.inner == inner;
  free(copy);
  return ok;
}
static void check_owner(void) {
  static const char OWN[] = "Name:\tUid:\\n\nUid:\t1\t0\t1\t1\nGid:\t0\nNSpid:\t12\n", INNER[] = "Uid:\t7\t7\t7\t7\nNSpid:\t12\t1\n",
                    OLD[] = "Uid:\t7\t7\t7\t10\n";
  CHECK(owner_says(OWN, sizeof OWN - 1, true, false) && owner_says(INNER, sizeof INNER - 1, false, true));
  CHECK(owner_says(OLD, sizeof OLD - 1, false, false));
  struct owner owner;
  static const char *const bad[] = {"", "Uid:", "Uid:\t0\t0\t0\n", "Uid:\t0\t0\t0\tx\n", "Uid:\t0\t0\t0\t0", "Uid:\t0\t0\t0\t0\nNSpid:\tx\n", "Uid:\t0\t0\t0\t0\nNSpid:\t\n"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) CHECK(!owner_parse(bad[i], strlen(bad[i]), &owner));
}

static struct named named_of(const char *arguments, size_t n) {
  struct named named;
  char *copy = exact(arguments, n);
  attribute(copy, n, &named);
  free(copy);
  return named;
}
#define NAMED(text) named_of(text, sizeof text - 1)
static void check_attribute(void) {
  struct uuid vm;
  uuid_parse(VM, 36, &vm);
  struct named n = NAMED("/usr/bin/qemu-system-x86_64\0-name\0guest=web,x=on\0-uuid\0" VM "\0-fw_cfg\0name=opt/org.fenceline/run,string=42\0-chardev\0path=/x/domain-5-web/m\0");
  CHECK(n.has_vm && uuid_same(n.vm, vm) && n.mark == 42 && n.domain == 5 && strcmp(n.guest, "web") == 0 && is_qemu_name(n.base));
  CHECK(NAMED("qemu-kvm\0-uuid\0" "11111111222233334444555555555555").has_vm);
  CHECK(NAMED("qemu-kvm\0-name\0guest=" VM ",debug-threads=on\0").has_vm);
  CHECK(!NAMED("qemu-kvm\0-uuid\0" VM "7\0").has_vm && !NAMED("qemu-kvm\0-uuid=" VM "\0").has_vm);
  CHECK(!NAMED("tail\0-f\0/var/log/libvirt/qemu/" VM ".log\0").has_vm);
  CHECK(!NAMED("qemu-kvm\0-name\0guest=x-" VM "\0").has_vm);
  CHECK(NAMED("qemu-kvm\0-fw_cfg\0name=opt/org.fenceline/run,string=4x\0").mark == -1);
  CHECK(NAMED("qemu-kvm\0-blockdev\0{\"driver\":\"file\",\"aio\":\"io_uring\",\"node-name\":\"a\"}\0").uring);
  CHECK(NAMED("qemu-kvm\0-blockdev\0{\"aio\" : \"io_uring\"}\0").uring && NAMED("qemu-kvm\0-drive\0file=/x,aio=io_uring\0").uring);
  CHECK(NAMED("qemu-kvm\0-blockdev\0driver=io_uring,node-name=a\0").uring && NAMED("x\0io_uring\0aio=io_uring").uring);
  CHECK(!NAMED("qemu-kvm\0-drive\0file=/io_uring/aio,aio=native\0io_uring\0-name\0guest=io_uring\0").uring && !NAMED("aio=\0io_uring").uring);
  CHECK(!NAMED("aio=io_urin").uring && !NAMED("\"io_uring").uring && !NAMED("=io_uring").uring);
  CHECK(NAMED("").empty && NAMED("\0\0 \0").empty && !NAMED("a").empty);
  n = NAMED("/usr/bin/swtpm\0socket\0--tpmstate\0dir=/var/lib/libvirt/swtpm/" VM "/tpm2\0");
  CHECK(n.side == SIDE_BY_VM && uuid_same(n.side_vm, vm));
  CHECK(NAMED("swtpm\0/swtpm/" VM "x/\0").side == SIDE_NONE);
  n = NAMED("/usr/libexec/virtiofsd\0--socket=/var/lib/libvirt/qemu/domain-3-web/fs0\0");
  CHECK(n.side == SIDE_BY_NAME && strcmp(n.side_name, "web") == 0);
  CHECK(NAMED("virtiofsd\0--fd=3\0").side == SIDE_BY_PID);
  CHECK(is_name_of_side("web", "web") && !is_name_of_side("web", "web2"));
  CHECK(is_name_of_side("12345678901234567890", "12345678901234567890-and-more"));
}

static void check_libvirt(void) {
  static struct told told[MAX_VMS];
  order_head(order, HEAD, sizeof HEAD - 1);
  order_vm(order, "vm " VM " epoch=7", 47);
  order_vm(order, "vm " OTHER " epoch=7", 47);
#define ANSWER(out, err) libvirt_answer(order, out, sizeof out - 1, err, sizeof err - 1, told)
  ANSWER("@ " VM "\nweb\n\n5\n\nrunning\n\n@ " OTHER "\ndb\n\n-\n\nshut off\n\n", "");
  CHECK(told[0].said == SAID_ON && told[0].id == 5 && strcmp(told[0].name, "web") == 0);
  CHECK(told[1].said == SAID_OFF && told[1].id == -1);
  ANSWER("@ " VM "\n@ " OTHER "\n", "error: failed to get domain '" VM "'\n");
  CHECK(told[0].said == SAID_OFF && told[1].said == SAID_NOTHING);
  ANSWER("@ " VM "\n", "error: failed to get domain '" VM "'\nerror: Cannot recv data\n");
  CHECK(told[0].said == SAID_NOTHING);
  ANSWER("@ " VM "\nweb\n-\nshut off", "");
  CHECK(told[0].said == SAID_NOTHING);
#define EPOCH(text) libvirt_status_epoch(text, sizeof text - 1, 12, VM)
  CHECK(EPOCH("<domstatus pid='12'><uuid>" VM "</uuid><fenceline:run x='1' epoch='9'/>") == 9);
  CHECK(EPOCH("<domstatus pid='123'><uuid>" VM "</uuid><fenceline:run epoch='9'/>") == -1);
  CHECK(EPOCH("<domstatus pid='12'><uuid>" VM "</uuid><fenceline:run epoch='9x'/>") == -1);
  CHECK(EPOCH("<domstatus pid='12'><uuid>" VM "</uuid><fenceline:run epoch='9") == -1);
  char name[MAX_NAME];
  int64_t domain;
  CHECK(libvirt_side_file("5-my-web-fs0-fs.pid", &domain, name, sizeof name) && strcmp(name, "my-web") == 0 && domain == 5);
  CHECK(libvirt_side_file("5-web-ua-x-fs.pid", &domain, name, sizeof name) && strcmp(name, "web") == 0);
  CHECK(!libvirt_side_file("web.xml", &domain, name, sizeof name) && !libvirt_side_file("5--fs.pid", &domain, name, sizeof name));
}

/** A reply of libvirt's: its head, then the body. */
static bool reply_of(const unsigned char *body, size_t n, struct rpc_reply *out) {
  static unsigned char *packet;
  free(packet);
  packet = malloc(RPC_HEAD + n);
  unsigned char question[RPC_ASKS];
  rpc_ways_in(question, 7);
  memcpy(packet, question, RPC_HEAD);
  memcpy(packet + RPC_HEAD, body, n);
  packet[2] = (unsigned char)((RPC_HEAD + n) >> 8), packet[3] = (unsigned char)(RPC_HEAD + n), packet[19] = 1;
  return rpc_reply(packet, RPC_HEAD + n, out);
}
static void check_rpc(void) {
  static const unsigned char WEB[] = "\0\0\0\3web\0" "0123456789abcdef" "\0\0\0\5", CUT[] = "\0\0\1\3web\0" "0123456789abcdef" "\0\0\0\5",
                             OPEN[] = "\0\0\0\1\0\0\0\0", LOGIN[] = "\0\0\0\1\0\0\0\1", TWO[] = "\0\0\0\2\0\0\0\0\0\0\0\1";
  unsigned char question[RPC_ASKS];
  struct rpc_reply reply;
  struct rpc_domain domain;
  int32_t number;
  CHECK(reply_of(WEB, sizeof WEB - 1, &reply) && reply.call == RPC_WAYS_IN && reply.serial == 7 && !reply.failed);
  CHECK(rpc_domain_of(&reply, &domain) && strcmp(domain.name, "web") == 0 && domain.number == 5 && memcmp(domain.uuid, WEB + 8, 16) == 0);
  CHECK(rpc_destroy(question, 9, &domain) == RPC_HEAD + 28 && memcmp(question + RPC_HEAD, WEB, 28) == 0 && question[15] == 12 && question[23] == 9);
  CHECK(rpc_state(question, 9, &domain) == RPC_HEAD + 32 && rpc_by_number(question, 9, 5) == RPC_HEAD + 4);
  for (size_t n = 0; n < sizeof WEB - 1; n++) CHECK(reply_of(WEB, n, &reply) && !rpc_domain_of(&reply, &domain));
  CHECK(reply_of(CUT, sizeof CUT - 1, &reply) && !rpc_domain_of(&reply, &domain));
  CHECK(reply_of(OPEN, sizeof OPEN - 1, &reply) && rpc_is_open(&reply) && rpc_number_at(&reply, 1, &number) && number == 0);
  CHECK(!rpc_number_at(&reply, 2, &number));
  CHECK(reply_of(LOGIN, sizeof LOGIN - 1, &reply) && !rpc_is_open(&reply));
  CHECK(reply_of(TWO, sizeof TWO - 1, &reply) && !rpc_is_open(&reply));
  CHECK(!rpc_reply(question, RPC_HEAD + 4, &reply) && rpc_length((const unsigned char *)"\0\0\0\33") == 0 && rpc_length((const unsigned char *)"\1\0\0\0") == 0);
  memset(domain.name, 'x', sizeof domain.name - 1), domain.name[sizeof domain.name - 1] = 0;
  CHECK(rpc_state(question, 9, &domain) <= RPC_ASKS && rpc_open(question, 9, "qemu:///system") <= RPC_ASKS);
  reply_of(WEB, 0, &reply);
}

int main(void) {
  check_order(), check_places(), check_procfs(), check_owner(), check_attribute(), check_libvirt(), check_rpc();
  free(order);
  printf("%d checks, %d failures\n", checks, failures);
  return failures ? 1 : 0;
}
