// Unit tests of the pure parts, under the sanitizers. Exact-size heap copies: a read behind the end is found.
#include "judge.h"
#include "xml.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VM "11111111-2222-4333-8444-555555555555"
#define OTHER "99999999-2222-4333-8444-555555555555"
static int failures, checks;
#define CHECK(what) check(what, #what, __LINE__)
static void check(bool ok, const char *what, int line) {
  checks++;
  if (!ok) failures++, printf("hook/check.c:%d: %s\n", line, what);
}
/** On the heap, with room for exactly the one byte that is promised. */
static char *exact(const char *text) {
  char *copy = malloc(strlen(text) + 1);
  return memcpy(copy, text, strlen(text));
}

static const char *list_says(const char *text) {
  struct protected_list list = {0};
  char *copy = exact(text);
  const char *wrong = list_read(copy, strlen(text), &list);
  list_free(&list), free(copy);
  return wrong;
}
#define HEAD "fenceline-protected 1\n"
static void check_list(void) {
  CHECK(!list_says(HEAD "end 0\n"));
  CHECK(!list_says(HEAD "vm " VM "\ndisk file:/srv/a%20b.img\ndisk rbd:pool/x\ndisk network:nbd:y\nvm " OTHER "\nend 2\n"));
  CHECK(list_says("") && list_says(HEAD) && list_says("fenceline-protected 2\nend 0\n"));
  CHECK(list_says(HEAD "vm " VM "\n") && list_says(HEAD "vm " VM "\nend 0\n") && list_says(HEAD "vm " VM "\nend 2\n"));
  CHECK(list_says(HEAD "end 0") && list_says(HEAD "end 0\nend 0\n") && list_says(HEAD "end 0\nvm " VM "\n"));
  CHECK(list_says(HEAD "vm " OTHER "\nvm " VM "\nend 2\n") && list_says(HEAD "vm " VM "\nvm " VM "\nend 2\n"));
  CHECK(list_says(HEAD "vm 1\nend 1\n") && list_says(HEAD "vm " VM "x\nend 1\n"));
  CHECK(list_says(HEAD "disk file:/a\nend 0\n") && list_says(HEAD "note x\nend 0\n"));
  static const char *const bad[] = {"file", "file:", "file:a", "tape:/a", "file:/%00", "file:/%4", "file:/%zz", "network:nbd", "network:nbd:", "rbd:"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    char text[256];
    snprintf(text, sizeof text, HEAD "vm " VM "\ndisk %s\nend 1\n", bad[i]);
    CHECK(list_says(text));
  }
}

static void shortens(const char *from, const char *to) {
  char *path = strdup(from);
  path_shorten(path);
  if (strcmp(path, to) != 0) printf("%s became %s\n", from, path);
  CHECK(strcmp(path, to) == 0);
  free(path);
}
static void check_paths(void) {
  shortens("/srv/a.img", "/srv/a.img"), shortens("//srv///a.img/", "/srv/a.img"), shortens("/srv/./x/../a.img", "/srv/a.img");
  shortens("/../../a", "/a"), shortens("/", "/"), shortens("/..", "/"), shortens("/a/..", "/"), shortens("/a/.../b..", "/a/.../b..");
}

static void ignore_open(void *c, const struct xml_path *p, const struct xml_element *e) { (void)c, (void)p, (void)e; }
static void join_text(void *context, const struct xml_path *path, const char *text, bool whole) {
  (void)path;
  strcat(context, whole ? "=" : "~"), strcat(context, text);
}
/** All texts of a document; NULL if it is refused. */
static const char *texts(const char *document) {
  static char joined[4096];
  joined[0] = '\0';
  struct xml_reader reader = {joined, ignore_open, join_text};
  char *copy = exact(document);
  bool fine = xml_read(copy, strlen(document), &reader);
  free(copy);
  return fine ? joined : NULL;
}
static bool reads(const char *document, const char *as) {
  const char *got = texts(document);
  bool same = got ? as && strcmp(got, as) == 0 : !as;
  if (!same) printf("%s: read as %s\n", document, got ? got : "(refused)");
  return same;
}
static void check_xml(void) {
  CHECK(reads("<a>x</a>", "=x") && reads("<?xml version='1.0'?>\n<!-- c --><a b=\"1\" c='2'><d/></a>\n", ""));
  CHECK(reads("<a>&lt;&amp;&gt;&quot;&apos;&#65;&#x42;&#xe9;&#x20AC;&#x1F600;</a>", "=<&>\"'AB\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"));
  CHECK(reads("<a>x<!-- -->y</a>", "~x~y") && reads("<a><![CDATA[<x>]]></a>", "~<x>") && reads("<a>x<b/></a>", "~x") && reads("<a ></a >", ""));
  static const char *const refused[] = {
      "", "x", "<a>", "</a>", "<a></b>", "<a/><b/>", "<a/>x", "<a b=1/>", "<a b='1/>", "<a b/>", "<a b='1' b='2'/>", "<a b='1'c='2'/>",
      "<a>&nbsp;</a>", "<a>&</a>", "<a>&#0;</a>", "<a>&#xd800;</a>", "<a>&#x110000;</a>", "<a>&#;</a>", "<a>&#x;</a>", "<a>\x01</a>", "<a b='<'/>",
      "<!DOCTYPE a><a/>", "<a><!-- </a>", "<a><![CDATA[ </a>", "<a", "<a/", "< a/>", "<>", "<a></a", "<![CDATA[x]]>", "<a/><!", "<?x", "<"};
  for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) CHECK(reads(refused[i], NULL));
  char deep[1024] = "";
  for (int i = 0; i < XML_DEPTH + 1; i++) strcat(deep, "<a>");
  for (int i = 0; i < XML_DEPTH + 1; i++) strcat(deep, "</a>");
  CHECK(!texts(deep) && texts(deep + 3) == NULL);
  deep[3 * (XML_DEPTH + 1) + 4 * XML_DEPTH] = '\0';
  CHECK(texts(deep + 3));
  char wide[2048] = "<a";
  for (int i = 0; i <= XML_ATTRIBUTES; i++) sprintf(wide + strlen(wide), " b%d=''", i);
  strcat(wide, "/>");
  CHECK(!texts(wide));
  struct xml_reader reader = {deep, ignore_open, join_text};
  char nul[] = "<a>\0</a>";
  CHECK(!xml_read(nul, 8, &reader));
}

#define SOURCES "vm " VM "\ndisk file:/srv/vm1.img\ndisk rbd:pool/vm1\ndisk network:nbd:export1\ndisk block:/dev/vg/vm1\n"
static bool always_same(const char *path, struct protected_disk *disk) {
  return strcmp(path, "/dev/dm-7") == 0 && strcmp(disk->source, "/dev/vg/vm1") == 0;
}
struct seen { bool odd; int vm, other_vm; int64_t epoch; };
static struct seen judged(const char *xml) {
  const char *text = HEAD SOURCES "vm " OTHER "\ndisk file:/srv/vm9.img\nend 2\n";
  char *list_text = exact(text), *copy = exact(xml);
  struct protected_list list;
  if (list_read(list_text, strlen(text), &list)) abort();
  struct domain domain = judge_domain(copy, strlen(xml), &list, always_same);
  struct seen seen = {domain.odd != NULL, domain.vm, domain.other_vm, domain.epoch};
  list_free(&list), free(list_text), free(copy);
  return seen;
}
#define NOBODY "aaaaaaaa-2222-4333-8444-555555555555"
#define DOMAIN(uuid, rest) "<domain type='kvm'>\n  <name>x</name>\n  <uuid>" uuid "</uuid>\n  " rest "</domain>"
#define META(e) "<metadata><f:run xmlns:f=\"https://fenceline.org/xmlns/run/1\" epoch='" e "'/></metadata>"
#define ARGUMENT(e) "<sysinfo type='fwcfg'><entry name='opt/org.fenceline/run'>" e "</entry></sysinfo>"
#define DISK(source) "<devices><disk type='file'><source " source "/></disk></devices>"
/** The marked epoch of the protected VM; -1 if it counts as none. */
#define EPOCH(rest) judged(DOMAIN(VM, rest)).epoch
static void check_marks(void) {
  CHECK(EPOCH(META("5") ARGUMENT("5")) == 5 && EPOCH(ARGUMENT("5") META("5")) == 5);
  CHECK(EPOCH(META("5")) == -1 && EPOCH(ARGUMENT("5")) == -1 && EPOCH("") == -1);
  CHECK(EPOCH(META("5") ARGUMENT("6")) == -1 && EPOCH(META("6") ARGUMENT("5")) == -1);
  CHECK(EPOCH(META("05") ARGUMENT("05")) == -1 && EPOCH(META("x") ARGUMENT("x")) == -1 && EPOCH(META("") ARGUMENT("")) == -1);
  CHECK(EPOCH(META("1234567890123456") ARGUMENT("1234567890123456")) == -1 && EPOCH(META(" 5") ARGUMENT(" 5")) == -1);
  CHECK(EPOCH(META("5") META("5") ARGUMENT("5")) == -1 && EPOCH(META("5") ARGUMENT("5") ARGUMENT("5")) == -1);
  CHECK(EPOCH(META("5") "<sysinfo type='smbios'><entry name='opt/org.fenceline/run'>5</entry></sysinfo>") == -1);
  CHECK(EPOCH("<metadata><run xmlns='https://fenceline.org/xmlns/run/1' epoch='5'/></metadata>" ARGUMENT("5")) == 5);
  CHECK(EPOCH("<metadata><f:run xmlns:g='https://fenceline.org/xmlns/run/1' epoch='5'/></metadata>" ARGUMENT("5")) == -1);
  CHECK(EPOCH("<metadata><g:x xmlns:g='u'>" "<f:run xmlns:f='https://fenceline.org/xmlns/run/1' epoch='5'/></g:x></metadata>" ARGUMENT("5")) == -1);
  static const char *const odd[] = {
      DOMAIN(VM, META("5") "<sysinfo type='fwcfg'><entry name='opt/org.fenceline/run' file='/x'>5</entry></sysinfo>"),
      DOMAIN(VM, META("5") ARGUMENT("5") "<q:commandline><q:arg value='name=opt/org.fenceline/run,string=9'/></q:commandline>"),
      DOMAIN(VM, META("5") ARGUMENT("5") "<description>opt/org.fenceline/run</description>"),
      DOMAIN(VM, "<x y='https://fenceline.org/xmlns/run/1'/>"),
      DOMAIN(VM "x", ""), DOMAIN("", ""), DOMAIN(VM "<!-- -->", ""), DOMAIN(VM, "<uuid>" VM "</uuid>"), "<domain/>", "<volume/>", "<domain>", ""};
  for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) CHECK(judged(odd[i]).odd);
}
/** The protected VM to which a disk of another VM belongs. */
#define TAKES(rest) judged(DOMAIN(NOBODY, rest)).other_vm
static void check_disks(void) {
  CHECK(judged(DOMAIN(NOBODY, DISK("file='/srv/vm2.img'"))).vm == -1 && TAKES(DISK("file='/srv/vm2.img'")) == -1);
  CHECK(judged(DOMAIN(VM, DISK("file='/srv/vm1.img'"))).vm == 0 && judged(DOMAIN(VM, DISK("file='/srv/vm1.img'"))).other_vm == -1);
  CHECK(TAKES(DISK("file='/srv/vm1.img'")) == 0 && TAKES(DISK("file=\"/srv//./x/../vm1.img\"")) == 0 && TAKES(DISK("file='/srv/vm&#49;.img'")) == 0);
  CHECK(TAKES(DISK("dev='/srv/vm1.img'")) == 0 && TAKES("<os><nvram>/srv/vm1.img</nvram></os>") == 0 && TAKES("<os><nvram><!-- -->/srv/vm1.img</nvram></os>") == 0);
  CHECK(TAKES("<devices><disk><source file='/x'/><backingStore><source file='/srv/vm1.img'/></backingStore></disk></devices>") == 0);
  CHECK(TAKES(DISK("protocol='rbd' name='pool/vm1'")) == 0 && TAKES(DISK("protocol='rbd' name='pool/vm10'")) == -1 && TAKES(DISK("protocol='nbd' name='pool/vm1'")) == -1);
  CHECK(TAKES(DISK("protocol='nbd' name='export1'")) == 0 && TAKES(DISK("protocol='iscsi' name='export1'")) == -1);
  CHECK(TAKES(DISK("pool='default' volume='vm1.img'")) == 0 && TAKES(DISK("pool='default' volume='vm2.img'")) == -1);
  CHECK(TAKES(DISK("dev='/dev/vg/vm1'")) == 0 && TAKES(DISK("dev='/dev/dm-7'")) == 0 && TAKES(DISK("dev='/dev/dm-8'")) == -1);
  CHECK(TAKES("<q:commandline><q:arg value='-drive'/><q:arg value='file=/srv/vm1.img,if=ide'/></q:commandline>") == 0);
  CHECK(TAKES(DISK("file='/srv/vm1.img.bak'")) == -1 && TAKES(DISK("file='/srv/vm1.im'")) == -1);
  // A protected VM with another one's disk, however many of its own come first.
  CHECK(judged(DOMAIN(VM, DISK("file='/srv/vm1.img'") DISK("file='/srv/vm9.img'"))).other_vm == 1);
  CHECK(judged(DOMAIN(OTHER, DISK("file='/srv/vm9.img'") DISK("file='/srv/vm1.img'"))).other_vm == 0);
}

int main(void) {
  check_list(), check_paths(), check_xml(), check_marks(), check_disks();
  printf("%d checks, %d failures\n", checks, failures);
  return failures > 0;
}
