#include "xml.h"
#include <stdint.h>
#include <string.h>

// A small reader in place of a library: the hook is static, is read by people, and what it does not
// know it refuses.

static bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }
static bool is_name(char c) {
  unsigned char u = (unsigned char)c;
  return (u >= 'a' && u <= 'z') || (u >= 'A' && u <= 'Z') || (u >= '0' && u <= '9') || u == '_' ||
         u == ':' || u == '-' || u == '.' || u >= 0x80;
}

struct scan {
  char *at, *end;
  const struct xml_reader *reader;
  struct xml_path path;
  /** Pieces of text and elements that the open element has had so far. */
  int pieces[XML_DEPTH];
  bool rooted;
};

static bool starts(const struct scan *s, const char *word) {
  size_t n = strlen(word);
  return (size_t)(s->end - s->at) >= n && memcmp(s->at, word, n) == 0;
}
static bool skip_past(struct scan *s, size_t head, const char *tail) {
  char *found = (size_t)(s->end - s->at) < head
                    ? NULL
                    : memmem(s->at + head, (size_t)(s->end - s->at) - head, tail, strlen(tail));
  if (!found) return false;
  s->at = found + strlen(tail);
  return true;
}
static void skip_space(struct scan *s) {
  while (s->at < s->end && is_space(*s->at)) s->at++;
}

static char *put_utf8(char *to, uint32_t c) {
  if (c < 0x80) return *to++ = (char)c, to;
  if (c < 0x800) return *to++ = (char)(0xc0 | c >> 6), *to++ = (char)(0x80 | (c & 63)), to;
  if (c < 0x10000)
    *to++ = (char)(0xe0 | c >> 12);
  else
    *to++ = (char)(0xf0 | c >> 18), *to++ = (char)(0x80 | (c >> 12 & 63));
  return *to++ = (char)(0x80 | (c >> 6 & 63)), *to++ = (char)(0x80 | (c & 63)), to;
}
static int digit(char c, int base) {
  int value = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : 99;
  return value < base ? value : -1;
}
/** `body` is what stands between & and ; */
static char *put_entity(char *to, const char *body, size_t n) {
  static const struct { const char *name; char c; } known[] = {
      {"amp", '&'}, {"lt", '<'}, {"gt", '>'}, {"quot", '"'}, {"apos", '\''}};
  for (size_t i = 0; i < sizeof known / sizeof *known; i++)
    if (strlen(known[i].name) == n && memcmp(known[i].name, body, n) == 0) return *to++ = known[i].c, to;
  if (n < 2 || n > 10 || body[0] != '#') return NULL;
  int base = body[1] == 'x' ? 16 : 10;
  size_t i = base == 16 ? 2 : 1;
  uint32_t c = 0;
  if (i == n) return NULL;
  for (; i < n; i++) {
    int value = digit(body[i], base);
    if (value < 0) return NULL;
    c = c * (uint32_t)base + (uint32_t)value;
    if (c > 0x10ffff) return NULL;
  }
  if ((c < 0x20 && c != '\t' && c != '\n' && c != '\r') || (c >= 0xd800 && c < 0xe000)) return NULL;
  return put_utf8(to, c);
}
/** Resolves entities in place and ends the text with NUL; it only ever becomes shorter. */
static bool decode(char *text, char *end) {
  char *to = text;
  for (char *at = text; at < end;) {
    unsigned char c = (unsigned char)*at;
    if (c == '<' || (c < 0x20 && !is_space((char)c))) return false;
    if (c != '&') {
      *to++ = *at++;
      continue;
    }
    char *semicolon = memchr(at, ';', (size_t)(end - at));
    to = semicolon ? put_entity(to, at + 1, (size_t)(semicolon - at - 1)) : NULL;
    if (!to) return false;
    at = semicolon + 1;
  }
  *to = '\0';
  return true;
}

/** The name, without an end: the caller writes that when it has read what comes behind. */
static char *read_name(struct scan *s) {
  char *begin = s->at;
  while (s->at < s->end && is_name(*s->at)) s->at++;
  return s->at == begin ? NULL : begin;
}

static bool read_attribute(struct scan *s, struct xml_element *element) {
  char *name = read_name(s), *name_end = s->at;
  if (!name) return false;
  skip_space(s);
  if (s->at == s->end || *s->at++ != '=') return false;
  skip_space(s);
  if (s->at == s->end || (*s->at != '"' && *s->at != '\'')) return false;
  char quote = *s->at++, *value = s->at;
  char *closing = memchr(value, quote, (size_t)(s->end - value));
  if (!closing || element->attributes == XML_ATTRIBUTES || !decode(value, closing)) return false;
  *name_end = '\0';
  s->at = closing + 1;
  if (xml_value(element, name)) return false;
  element->attribute[element->attributes++] = (struct xml_attribute){name, value};
  return true;
}

static bool close_element(struct scan *s, const char *name, size_t n) {
  struct xml_path *path = &s->path;
  if (path->depth == 0) return false;
  const char *open = path->name[path->depth - 1];
  if (strlen(open) != n || memcmp(open, name, n) != 0) return false;
  path->depth--;
  return true;
}

static bool read_open(struct scan *s) {
  struct xml_element element = {.attributes = 0};
  struct xml_path *path = &s->path;
  char *name = read_name(s), *name_end = s->at;
  if (!name || path->depth == XML_DEPTH || (path->depth == 0 && s->rooted)) return false;
  bool spaced = s->at < s->end && is_space(*s->at);
  for (skip_space(s); s->at < s->end && *s->at != '>' && *s->at != '/'; skip_space(s)) {
    if (!spaced || !read_attribute(s, &element)) return false;
    spaced = s->at < s->end && is_space(*s->at);
  }
  if (s->at == s->end) return false;
  bool empty = *s->at == '/';
  if (empty && (++s->at == s->end || *s->at != '>')) return false;
  s->at++;
  *name_end = '\0';
  element.name = name;
  if (path->depth > 0) s->pieces[path->depth - 1]++;
  s->rooted = true;
  s->pieces[path->depth] = 0;
  path->name[path->depth++] = name;
  s->reader->open(s->reader->context, path, &element);
  return !empty || close_element(s, name, strlen(name));
}

static bool read_close(struct scan *s) {
  char *name = read_name(s);
  size_t n = name ? (size_t)(s->at - name) : 0;
  skip_space(s);
  if (!name || s->at == s->end || *s->at++ != '>') return false;
  return close_element(s, name, n);
}

static bool read_text(struct scan *s) {
  char *begin = s->at, *end = memchr(begin, '<', (size_t)(s->end - begin));
  if (!end) end = s->end;
  s->at = end;
  bool blank = true;
  for (char *c = begin; c < end && blank; c++) blank = is_space(*c);
  if (blank && (s->path.depth == 0 || end - begin == 0)) return true;
  if (s->path.depth == 0) return false;
  bool closes = s->end - end > 1 && end[1] == '/';
  if (!decode(begin, end)) return false; // its end may come to stand upon '<'
  bool whole = s->pieces[s->path.depth - 1]++ == 0 && closes;
  s->reader->text(s->reader->context, &s->path, begin, whole);
  return true;
}

static bool read_cdata(struct scan *s) {
  char *begin = s->at + 8; // behind ![CDATA[
  if (s->path.depth == 0 || !skip_past(s, 8, "]]>")) return false;
  char *end = s->at - 3;
  for (char *c = begin; c < end; c++)
    if ((unsigned char)*c < 0x20 && !is_space(*c)) return false;
  *end = '\0';
  s->pieces[s->path.depth - 1] += 2; // never the whole text: nobody writes a uuid like that
  s->reader->text(s->reader->context, &s->path, begin, false);
  return true;
}

/** Something that begins with '<'; the end of the text before it may stand there by now. */
static bool read_markup(struct scan *s) {
  s->at++;
  if (starts(s, "!--") || starts(s, "?")) {
    if (s->path.depth > 0) s->pieces[s->path.depth - 1] += 2;
    return *s->at == '?' ? skip_past(s, 1, "?>") : skip_past(s, 3, "-->");
  }
  if (starts(s, "![CDATA[")) return read_cdata(s);
  if (starts(s, "/")) return s->at++, read_close(s);
  return read_open(s);
}

bool xml_read(char *text, size_t length, const struct xml_reader *reader) {
  struct scan s = {.at = text, .end = text + length, .reader = reader};
  text[length] = '\0';
  // safety: F34: a NUL would hide from us what libvirt reads behind it
  if (memchr(text, '\0', length)) return false;
  while (s.at < s.end) {
    if (!read_text(&s)) return false;
    if (s.at < s.end && !read_markup(&s)) return false;
  }
  return s.rooted && s.path.depth == 0;
}

const char *xml_value(const struct xml_element *element, const char *name) {
  for (int i = 0; i < element->attributes; i++)
    if (strcmp(element->attribute[i].name, name) == 0) return element->attribute[i].value;
  return NULL;
}

bool xml_at(const struct xml_path *path, const char *names) {
  for (int i = 0; i < path->depth; i++) {
    size_t n = strlen(path->name[i]);
    if (strncmp(names, path->name[i], n) != 0) return false;
    names += n;
    if (i + 1 < path->depth && *names++ != '/') return false;
  }
  return path->depth > 0 && *names == '\0';
}
