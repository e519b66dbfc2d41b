#include "session.h"
#include "answer.h"
#include "barrier.h"
#include "clock.h"
#include "guests.h"
#include "input.h"
#include "look.h"
#include "memory.h"
#include "places.h"
#include "writers.h"
#include "sure.h"
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

// ── the end ──────────────────────────────────────────────────────────────────────────────────────
static void remove_work(const struct session *s, const char *name) {
  char path[4300];
  size_t n = strlen(s->work_dir), m = strlen(name);
  memcpy(path, s->work_dir, n), path[n] = '/';
  memcpy(path + n + 1, name, m + 1);
  unlink(path);
}
static void remove_work_dir(struct session *s) {
  if (!s->work_dir[0]) return;
  remove_work(s, "witness");
  for (uint32_t v = 0; v < s->order->vms; v++) remove_work(s, s->order->vm[v].uuid);
  rmdir(s->work_dir);
  s->work_dir[0] = 0;
}
void session_cleanup(struct session *s) {
  helpers_end();
  remove_work_dir(s);
}
void session_refuse(struct session *s, const char *why) {
  say("refused %s", why);
  answer_flush(clock_ms() + 1000);
  guests_urgent(true);
  if (s->receives) longjmp(s->refused, 1);
  session_cleanup(s);
  exit(2);
}

// ── the order ────────────────────────────────────────────────────────────────────────────────────
bool session_room(struct session *s, struct size size) {
  static struct size ready;
  if (size.vms <= ready.vms && size.disks <= ready.disks && size.text <= ready.text) return true;
  /* Twice as much, so that it is asked for rarely. */
  size.vms = size.vms > ready.vms ? size.vms : ready.vms;
  size.disks = size.disks > ready.disks ? size.disks * 2 : ready.disks;
  size.text = size.text > ready.text ? size.text * 2 : ready.text;
  if (size.disks > MAX_ALL_DISKS) size.disks = MAX_ALL_DISKS;
  if (size.text > sizeof s->order->text) size.text = sizeof s->order->text;
  struct order *o = s->order;
  struct fence *f = &s->fence;
  /* The session without its tables. */
  if (!memory_ready(s, offsetof(struct session, fence)) || !memory_ready(&f->table + 1, (size_t)((char *)(s + 1) - (char *)(&f->table + 1))))
    return false;
  if (!order_room(o, size) || !table_room(&s->fence.table, size) || !look_room(size) || !writers_room(size) || !starts_room(size) ||
      !answer_room(size) || !helpers_room(size) || !input_room())
    return false;
  ready = size;
  return true;
}
static void read_vms(struct session *s) {
  const char *why, *line;
  size_t n;
  int64_t until = clock_ms() + ORDER_MS;
  while (s->order->vms < s->order->count) {
    int64_t rest = until - clock_ms();
    /* safety: F27: who dribbles an order keeps a worker from others no longer than this */
    if (!(line = input_line(rest < LINE_MS ? (int)rest : LINE_MS, &n, &why))) session_refuse(s, why);
    /* safety: F26: an order for which there is no room is refused now, before anything is touched */
    if (!session_room(s, order_size_with(s->order, n))) session_refuse(s, "no-memory for an order of this size");
    if ((why = order_vm(s->order, line, n))) session_refuse(s, why);
  }
}
static void use_token(struct session *s) {
  char path[2200];
  if (!s->options.tokens || s->order->mode != MODE_FENCE) return;
  snprintf(path, sizeof path, "%s/tokens/%s", s->options.run, s->order->token);
  /* safety: F29a: a stolen key kills nothing without a token that lies here; who unlinks it has used it up */
  if (strcmp(s->order->token, "-") == 0 || sure_unlink(path) != 0) session_refuse(s, "bad-order-token not one of this host");
}

// ── the work ─────────────────────────────────────────────────────────────────────────────────────
static bool make_work_dir(struct session *s) {
  char path[4200];
  sure_mkdir(s->options.run);
  snprintf(path, sizeof path, "%s/barriers", s->options.run);
  sure_mkdir(path);
  snprintf(path, sizeof path, "%s/fence.%d.%" PRId64, s->options.run, (int)getpid(), clock_ms());
  if (sure_mkdir(path) != 0) return false;
  strcpy(s->work_dir, path);
  return true;
}
/** safety: F29a: whoever has no token, but a certificate, takes no processor away from this host with it. */
static void take_turn(void) {
  static int64_t rested_at; /* of this process: another session is no way around it */
  int64_t now = clock_ms(), full = now - FREE_EVERY * (FREE_AT_ONCE - 1);
  if (now >= NO_TIME) now = full = rested_at;
  if (rested_at < full) rested_at = full;
  if (rested_at > now) poll(NULL, 0, (int)(rested_at - now));
  rested_at += FREE_EVERY;
}
static void count_only(struct session *s) {
  struct table *t = &s->fence.table;
  t->now = clock_ms();
  look(t);
  if (!t->look_ok) look(t);
}
static void close_runs(struct session *s) {
  struct fence *f = &s->fence;
  if (!helpers_give(JOB_BARRIER, 0, 0, 0, NO_TIME)) f->disk_answered = true;
  /* safety: F34: barrier first, then look; without a barrier no answer of this program is a proof */
  if (!barrier_memory(s->order, s->options.run, s->work_dir)) s->control = "no-barrier";
  end_grants(&f->table);
  snprintf(f->witness_path, sizeof f->witness_path, "%s/witness", s->work_dir);
  engine_work(f);
  engine_wait_for_disk(f);
  answer_verdicts(&f->table, f->on_disk, strcmp(s->control, "no-barrier") == 0);
}
static void say_end(struct session *s) {
  char times[200] = "";
  struct times *t = &s->fence.times;
  if (!t->dead) t->dead = t->end;
  if (t->clean <= t->dead) t->clean = t->dead;
  if (s->order->mode == MODE_FENCE)
    snprintf(times, sizeof times, " barrier_ms=%" PRId64 " kill_ms=%" PRId64 " verify_ms=%" PRId64 " drain_ms=%" PRId64,
             t->barrier - t->begun, t->dead - t->barrier, t->clean - t->dead, t->end - t->clean);
  if (!s->fence.table.look_ok && strcmp(s->control, "ok") == 0) s->control = "look-failed";
  say("end %s host=%s boot=%s pidns=%s uid=%d control=%s%s", s->order->nonce, s->self.host, s->self.boot,
      s->self.pidns, (int)geteuid(), s->control, times);
}

/** One order from its first line to its answer; the peer gets `refused` or all of it. */
static void serve_order(struct session *s, const char *line, size_t length) {
  struct fence *f = &s->fence;
  const char *why = order_head(s->order, line, length);
  if (why) session_refuse(s, why);
  bool counts = s->order->mode == MODE_COUNT;
  if (counts) guests_urgent(false), take_turn();
  engine_begin(f);
  helpers_forget();
  f->times.begun = clock_ms();
  if (f->times.begun >= NO_TIME) session_refuse(s, "no-clock the time can not be read");
  read_vms(s);
  use_token(s);
  int64_t deadline = s->order->deadline_ms, reserve = deadline / 5 < 500 ? deadline / 5 : 500;
  table_begin(&f->table, s->order, s->options.run);
  places_read();
  f->stop_at = f->table.stop_at = f->times.begun + deadline - reserve;
  if (clock_watchdog(f->times.begun + deadline) != 0) session_refuse(s, "no-clock no watchdog");
  if (!make_work_dir(s)) session_refuse(s, "no-run-dir can not write there");
  const char *failed = self_read(&s->self, &s->options);
  s->control = failed ? failed : "ok";
  /* safety: I3: an order for another host ends here, before a barrier is set or anything is killed */
  if (s->order->host[0] && strcmp(s->order->host, s->self.host) != 0)
    session_refuse(s, "wrong-host this is another host");
  if (counts) count_only(s);
  else guests_at_work(true), close_runs(s);
  say_end(s);
  answer_flush(f->times.begun + deadline - 20);
  guests_urgent(true);
  if (!counts) guests_at_work(false);
}
/** False: what hangs of this order leaves too little for another one. */
static bool clear_away(struct session *s) {
  remove_work_dir(s);
  if (s->fence.witness_file >= 0) close(s->fence.witness_file);
  s->fence.witness_file = -1;
  table_end(&s->fence.table);
  /* safety: F17, F25: what hangs of this order neither works on in the next nor takes its helpers away */
  return helpers_renew() >= 0 && clock_watchdog(0) == 0;
}
/** False: no further order can be served. */
static bool end_order(struct session *s) {
  /* A peer without a further order waits for the end of the output, not for the tidying up. */
  bool over = !answer_given() || input_ended();
  if (over) answer_close();
  return clear_away(s) && !over;
}
static void pong(struct session *s, const char *nonce) {
  self_read(&s->self, &s->options);
  say("pong %s host=%s boot=%s pidns=%s", nonce, s->self.host, s->self.boot, s->self.pidns);
  answer_flush(clock_ms() + 5000);
}

int session_serve(struct session *s) {
  const char *why, *line;
  size_t n;
  char nonce[65];
  bool served = false;
  int limit_ms = 30000;
  if (!guests_wait(&limit_ms)) return 0;
  if (!(line = input_line(limit_ms, &n, &why)) || (why = order_hello(line, n))) session_refuse(s, why);
  for (;; served = true) {
    input_begin();
    limit_ms = (int)s->options.idle_ms;
    /* safety: F27: who only asks whether we are there, or looks, leaves his worker to who waits for one */
    if (!guests_wait(&limit_ms)) return 0;
    line = input_line(limit_ms, &n, &why);
    if (!line && served) return 0;
    if (!line) session_refuse(s, why);
    if (order_ping(line, n, nonce)) take_turn(), pong(s, nonce), helpers_ready();
    else if (order_hello(line, n)) {
      serve_order(s, line, n);
      if (!end_order(s)) return 0;
      helpers_ready();
    }
  }
}
void session_greet(void) {
  say("fenceline-fence 1 line=1");
  answer_flush(0);
}
bool session_receive(struct session *s) {
  engine_begin(&s->fence);
  spare_refill();
  if (setjmp(s->refused) == 0) {
    session_greet();
    session_serve(s);
  }
  answer_close();
  if (!clear_away(s)) return false;
  helpers_ready();
  return true;
}
