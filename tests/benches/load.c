// Load for a server of WebSockets: many connections in one epoll loop, everything counted where it arrives.
//
//   load watch PORT N HELLOS             N connections that listen
//   load post PORT N HELLOS CHANNELS WINDOW RATE COUNT
//                                        N connections that post COUNT messages of 128 bytes in all
//
// HELLOS is a file with one first frame a line, in hex (connection i takes line i, then from the start again), or `-`
// for a server that takes none: then every frame counts as a delivery. CHANNELS has a line of channel ids for each
// connection, posted to in turn. RATE 0: as fast as WINDOW unacknowledged posts of a connection allow; else posts a
// second on a fixed schedule, whatever the server does, and latencies from the scheduled time.
//
// Frames are protobuf (`waggle.v1.proto`); of a ServerFrame only what has to be counted is read. Each post carries its
// time as `^t<16 hex digits>z`. Prints `open` and the seconds it took, then: `post` prints one line of JSON and ends;
// `watch` reads letters from stdin: r resets the counts, s prints them, q (or the end) ends it. Pings are answered.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { OPENING_MAX = 64, EVENTS_MAX = 1024, READ_BYTES = 256 * 1024, TEXT_BYTES = 128, WAIT_MS_MAX = 1000 };
enum { SUB = 32, BUCKETS = 64 * SUB };
static const uint64_t STALL_NS = 20000000000ull; // a publisher that hears nothing for this long gives up

typedef struct {
  int fd;
  enum { SHAKING, WELCOME, OPEN, CLOSED } state;
  uint8_t *rest; // bytes of a frame that is not complete yet
  uint32_t held, room;
  uint64_t *due; // times of unacknowledged posts: a ring by frame id
  uint64_t next_id, waiting;
  char **channels;
  int channel_count, channel_at;
} Conn;

typedef struct {
  uint8_t *bytes;
  size_t size;
} Blob;

static struct {
  uint64_t deliveries, frames, reads, bytes, closed, lagging, skips, pings, first, last;
  uint64_t acked, refused;
  uint64_t histogram[BUCKETS], measured, worst;
  char refusal[64];
} seen;

static Conn *conns;
static int count, port, epoll, opened, ready, publishing, plain;
static uint32_t window = 1;
static Blob *hellos;
static int hello_count;
static uint8_t read_buffer[READ_BYTES];

static uint64_t now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000000ull + t.tv_nsec;
}

static void die(const char *what) {
  fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
  exit(1);
}

// ---- latencies: buckets of 1/32 of a power of two of nanoseconds ----

static void measure(uint64_t ns) {
  int shift = ns < SUB ? 0 : 63 - __builtin_clzll(ns) - 5;
  int bucket = shift * SUB + (ns >> shift);
  seen.histogram[bucket < BUCKETS ? bucket : BUCKETS - 1]++;
  seen.measured++;
  if (ns > seen.worst) seen.worst = ns;
}

static double quantile_ms(double q) {
  uint64_t want = q * seen.measured, sum = 0;
  for (int b = 0; b < BUCKETS; b++) {
    sum += seen.histogram[b];
    if (sum > want) {
      int shift = b < 2 * SUB ? 0 : b / SUB - 1;
      return (double)((uint64_t)(b - shift * SUB) << shift) / 1e6;
    }
  }
  return seen.worst / 1e6;
}

// ---- writing ----

static void write_all(Conn *c, const uint8_t *bytes, size_t size) {
  while (size) {
    ssize_t sent = send(c->fd, bytes, size, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN) return; // the next read finds the connection closed
    if (sent < 0 && poll(&(struct pollfd){.fd = c->fd, .events = POLLOUT}, 1, 5000) <= 0) die("server reads nothing");
    if (sent > 0) bytes += sent, size -= sent;
  }
}

static void send_frame(Conn *c, int opcode, const uint8_t *payload, size_t size) {
  static uint8_t frame[70000];
  const uint8_t mask[4] = {0x37, 0xfa, 0x21, 0x3d};
  size_t at = 0;
  frame[at++] = 0x80 | opcode;
  if (size < 126) frame[at++] = 0x80 | size;
  else frame[at++] = 0x80 | 126, frame[at++] = size >> 8, frame[at++] = size & 255;
  memcpy(frame + at, mask, 4);
  at += 4;
  if (size + at > sizeof frame) die("a frame is too large");
  for (size_t i = 0; i < size; i++) frame[at + i] = payload[i] ^ mask[i & 3];
  write_all(c, frame, at + size);
}

static uint8_t *put_varint(uint8_t *at, uint64_t value) {
  for (; value > 127; value >>= 7) *at++ = value | 128;
  *at++ = value;
  return at;
}

static uint8_t *put_field(uint8_t *at, int field, const void *bytes, size_t size) {
  at = put_varint(put_varint(at, field << 3 | 2), size);
  memcpy(at, bytes, size);
  return at + size;
}

// A UUIDv7 (RFC 9562) of its own.
static int put_key(char *key) {
  static uint64_t serial, chance;
  struct timespec t;
  if (!chance && getrandom(&chance, sizeof chance, 0) < 0) die("getrandom");
  clock_gettime(CLOCK_REALTIME, &t);
  uint64_t ms = t.tv_sec * 1000ull + t.tv_nsec / 1000000;
  serial++;
  return sprintf(key, "%08x-%04x-7%03x-8%03x-%012llx", (uint32_t)(ms >> 16), (uint32_t)(ms & 0xffff),
                 (uint32_t)(serial >> 24 & 0xfff), (uint32_t)(serial >> 12 & 0xfff),
                 (unsigned long long)(serial & 0xfff) << 36 | (chance & 0xfffffffffull));
}

static void post(Conn *c, uint64_t due) {
  uint8_t content[160], body[512], frame[600], *at;
  char text[TEXT_BYTES + 1], key[40];
  memset(text, '.', TEXT_BYTES);
  memcpy(text + sprintf(text, "^t%016llxz", (unsigned long long)due), ".", 1);
  const char *channel = c->channels[c->channel_at++ % c->channel_count];
  size_t content_size = put_field(content, 1, text, TEXT_BYTES) - content;
  at = put_field(body, 1, channel, strlen(channel));
  at = put_field(at, 2, key, put_key(key));
  at = put_field(at, 3, content, content_size);
  c->due[++c->next_id % window] = due;
  c->waiting++;
  uint8_t *end = put_varint(frame, 1 << 3);
  end = put_field(put_varint(end, c->next_id), 5, body, at - body);
  send_frame(c, 2, frame, end - frame);
}

// ---- connecting ----

static void connect_one(int i) {
  Conn *c = &conns[i];
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port)};
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  int one = 1;
  c->fd = socket(AF_INET, SOCK_STREAM, 0);
  if (c->fd < 0 || connect(c->fd, (void *)&at, sizeof at)) die("connect");
  setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  // Reset instead of a lingering close: 10,000 sockets in TIME_WAIT would burden the next run.
  setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &(struct linger){1, 0}, sizeof(struct linger));
  fcntl(c->fd, F_SETFL, O_NONBLOCK);
  if (epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &(struct epoll_event){.events = EPOLLIN, .data.u32 = i})) die("epoll");
  char request[512];
  int size = snprintf(request, sizeof request,
                      "GET /connect HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
                      "Sec-WebSocket-Protocol: waggle.v1.proto\r\n\r\n",
                      port);
  write_all(c, (uint8_t *)request, size);
}

// ---- reading ----

static uint64_t varint(const uint8_t **at, const uint8_t *end) {
  uint64_t value = 0;
  for (int shift = 0; *at < end && shift < 64; shift += 7) {
    uint8_t byte = *(*at)++;
    value |= (uint64_t)(byte & 127) << shift;
    if (byte < 128) break;
  }
  return value;
}

// Counts the posts of a Deliver by the times in them.
static void delivered(const uint8_t *at, const uint8_t *end, uint64_t t) {
  while ((at = memchr(at, '^', end - at)) && end - at >= 19) {
    if (at[1] != 't' || at[18] != 'z') {
      at++;
      continue;
    }
    uint64_t due = 0;
    for (int i = 2; i < 18; i++) due = due << 4 | (at[i] <= '9' ? at[i] - '0' : at[i] - 'a' + 10);
    measure(t > due ? t - due : 0);
    seen.deliveries++;
    if (!seen.first) seen.first = t;
    seen.last = t;
    at += 19;
  }
}

static void answered(Conn *c, uint64_t re, uint64_t t) {
  measure(t - c->due[re % window]);
  c->waiting--;
  seen.last = t;
}

static void refused(const uint8_t *at, const uint8_t *end) {
  seen.refused++;
  if (end - at > 2 && at[0] == 0x0a && !seen.refusal[0]) snprintf(seen.refusal, sizeof seen.refusal, "%.*s", at[1], at + 2);
}

// One ServerFrame (proto/schema/session.proto gives the numbers).
static void server_frame(Conn *c, const uint8_t *at, const uint8_t *end, uint64_t t) {
  seen.frames++;
  if (plain) {
    seen.deliveries++;
    if (!seen.first) seen.first = t;
    seen.last = t;
    return;
  }
  uint64_t re = 0;
  if (at < end && *at == 1 << 3) at++, re = varint(&at, end);
  if (at == end) return;
  int field = varint(&at, end) >> 3;
  varint(&at, end); // its length: the rest
  switch (field) {
  case 2:
    if (c->state == WELCOME) c->state = OPEN, ready++;
    break;
  case 3: seen.acked++, answered(c, re, t); break;
  case 4:
    refused(at, end);
    if (c->state == WELCOME) errno = 0, fprintf(stderr, "%s\n", seen.refusal), die("hello was refused");
    if (re) answered(c, re, t);
    break;
  case 5: delivered(at, end, t); break;
  case 7: seen.skips++; break;
  case 9: seen.lagging++; break;
  }
}

// Takes whole frames; answers how many bytes it used.
static size_t frames(Conn *c, const uint8_t *bytes, size_t size, uint64_t t) {
  size_t used = 0;
  for (;;) {
    const uint8_t *at = bytes + used;
    size_t left = size - used, header = 2, length;
    if (left < 2) return used;
    length = at[1] & 127;
    if (length == 126) header = 4;
    if (length == 127) header = 10;
    if (left < header) return used;
    if (header > 2) {
      length = 0;
      for (size_t i = 2; i < header; i++) length = length << 8 | at[i];
    }
    if (left < header + length) return used;
    used += header + length;
    switch (at[0] & 15) {
    case 9: seen.pings++, send_frame(c, 10, at + header, length); break;
    case 8:
      if (seen.closed < 3) fprintf(stderr, "load: closed by the server: %.*s\n", (int)length - 2, at + header + 2);
      break;
    default: server_frame(c, at + header, at + header + length, t);
    }
  }
}

static void shaken(Conn *c, const uint8_t *bytes, size_t size) {
  if (size < 12 || memcmp(bytes + 9, "101", 3)) {
    fprintf(stderr, "%.*s\n", (int)(size < 400 ? size : 400), bytes);
    errno = 0, die("the handshake was refused");
  }
  if (plain) {
    c->state = OPEN, ready++;
    return;
  }
  Blob hello = hellos[(c - conns) % hello_count];
  c->state = WELCOME;
  send_frame(c, 2, hello.bytes, hello.size);
}

static void keep(Conn *c, const uint8_t *bytes, size_t size) {
  if (size > c->room) c->rest = realloc(c->rest, c->room = size);
  memmove(c->rest, bytes, size);
  c->held = size;
}

static void readable(Conn *c) {
  size_t held = c->held;
  memcpy(read_buffer, c->rest, held);
  ssize_t got = recv(c->fd, read_buffer + held, READ_BYTES - held, 0);
  if (got < 0 && errno == EAGAIN) return;
  if (got <= 0) {
    close(c->fd);
    if (c->state != OPEN) errno = 0, die("closed before it was open");
    c->state = CLOSED, c->waiting = 0, seen.closed++;
    return;
  }
  uint64_t t = now();
  seen.reads++, seen.bytes += got;
  size_t size = held + got, used = 0;
  if (c->state == SHAKING) {
    uint8_t *end = memmem(read_buffer, size, "\r\n\r\n", 4);
    if (!end) return keep(c, read_buffer, size);
    used = end + 4 - read_buffer;
    shaken(c, read_buffer, used);
  }
  used += frames(c, read_buffer + used, size - used, t);
  keep(c, read_buffer + used, size - used);
}

// ---- the loop ----

static void report(double span_s) {
  printf("{\"deliveries\":%lu,\"frames\":%lu,\"reads\":%lu,\"bytes\":%lu,\"closed\":%lu,\"lagging\":%lu,\"skips\":%lu,"
         "\"pings\":%lu,\"acked\":%lu,\"refused\":%lu,\"refusal\":\"%s\",\"span_s\":%.6f,"
         "\"p50_ms\":%.3f,\"p99_ms\":%.3f,\"p999_ms\":%.3f,\"p9995_ms\":%.3f,\"max_ms\":%.3f}\n",
         seen.deliveries, seen.frames, seen.reads, seen.bytes, seen.closed, seen.lagging, seen.skips, seen.pings,
         seen.acked, seen.refused, seen.refusal, span_s, quantile_ms(.5), quantile_ms(.99), quantile_ms(.999),
         quantile_ms(.9995), seen.worst / 1e6);
  fflush(stdout);
}

// Answers false when it is time to end.
static int asked(void) {
  char letters[64];
  ssize_t got = read(0, letters, sizeof letters);
  for (ssize_t i = 0; i < got; i++) {
    if (letters[i] == 'r') memset(&seen, 0, sizeof seen), puts("reset"), fflush(stdout);
    if (letters[i] == 's') report((seen.last - seen.first) / 1e9);
    if (letters[i] == 'q') return 0;
  }
  return got > 0;
}

// Handles what has arrived within `wait_ms`; answers false when stdin says that it is time to end.
static int turn(int wait_ms) {
  static struct epoll_event events[EVENTS_MAX];
  while (opened < count && opened - ready < OPENING_MAX) connect_one(opened++);
  int some = epoll_wait(epoll, events, EVENTS_MAX, wait_ms);
  for (int i = 0; i < some; i++) {
    if (events[i].data.u32 == UINT32_MAX) {
      if (!asked()) return 0;
    } else if (conns[events[i].data.u32].state != CLOSED) readable(&conns[events[i].data.u32]);
  }
  return 1;
}

static void publish(double rate, uint64_t total) {
  uint64_t sent = 0, start = now() + 50000000, heard = now(), heard_count = 0;
  int at = 0;
  seen.first = start;
  while (seen.acked + seen.refused < total && now() - heard < STALL_NS) {
    int wait_ms = WAIT_MS_MAX, idle = 0;
    while (sent < total && idle < count) {
      uint64_t time = now(), due = rate > 0 ? start + (uint64_t)(sent * 1e9 / rate) : time;
      if (due > time) {
        wait_ms = (due - time) / 1000000;
        break;
      }
      Conn *c = &conns[at++ % count];
      if (c->state != OPEN || c->waiting >= window) {
        idle++;
        continue;
      }
      idle = 0, post(c, due), sent++;
    }
    turn(wait_ms);
    uint64_t answers = seen.acked + seen.refused;
    if (answers != heard_count) heard = now(), heard_count = answers;
  }
  report((seen.last - seen.first) / 1e9);
}

// ---- files ----

static char *line_of(FILE *file) {
  char *line = 0;
  size_t room = 0;
  ssize_t size = getline(&line, &room, file);
  if (size <= 0) return 0;
  line[strcspn(line, "\n")] = 0;
  return line;
}

static FILE *file_of(const char *path) {
  FILE *file = fopen(path, "r");
  if (!file) die(path);
  return file;
}

static void read_hellos(const char *path) {
  if ((plain = !strcmp(path, "-"))) return;
  FILE *file = file_of(path);
  hellos = calloc(count, sizeof *hellos);
  for (char *line; hello_count < count && (line = line_of(file)); hello_count++) {
    Blob *hello = &hellos[hello_count];
    hello->bytes = malloc(hello->size = strlen(line) / 2);
    for (size_t i = 0; i < hello->size; i++) sscanf(line + 2 * i, "%2hhx", &hello->bytes[i]);
    free(line);
  }
  fclose(file);
  if (!hello_count) die("no hellos");
}

static void read_channels(const char *path) {
  FILE *file = file_of(path);
  for (int i = 0; i < count; i++) {
    char *line = line_of(file);
    if (!line) die("fewer lines of channels than connections");
    conns[i].due = calloc(window, sizeof(uint64_t));
    for (char *word = strtok(line, " "); word; word = strtok(0, " ")) {
      conns[i].channels = realloc(conns[i].channels, (conns[i].channel_count + 1) * sizeof(char *));
      conns[i].channels[conns[i].channel_count++] = word;
    }
  }
  fclose(file);
}

int main(int argc, char **argv) {
  publishing = argc == 9 && !strcmp(argv[1], "post");
  if (!publishing && (argc != 5 || strcmp(argv[1], "watch"))) {
    fprintf(stderr, "usage: load watch PORT N HELLOS | load post PORT N HELLOS CHANNELS WINDOW RATE COUNT\n");
    return 2;
  }
  port = atoi(argv[2]), count = atoi(argv[3]);
  conns = calloc(count, sizeof *conns);
  epoll = epoll_create1(0);
  read_hellos(argv[4]);
  if (publishing) window = atoi(argv[6]), read_channels(argv[5]);
  else {
    fcntl(0, F_SETFL, O_NONBLOCK);
    epoll_ctl(epoll, EPOLL_CTL_ADD, 0, &(struct epoll_event){.events = EPOLLIN, .data.u32 = UINT32_MAX});
  }
  uint64_t start = now();
  while (ready < count)
    if (!turn(WAIT_MS_MAX)) return 1;
  printf("open %.3f\n", (now() - start) / 1e9);
  fflush(stdout);
  memset(&seen, 0, sizeof seen);
  if (publishing) publish(atof(argv[7]), strtoull(argv[8], 0, 10));
  else
    while (turn(WAIT_MS_MAX)) {
    }
  return 0;
}
