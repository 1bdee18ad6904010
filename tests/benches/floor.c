// The floor: the least that a server can do. Accepts N WebSockets (the key is not checked), then writes prepared
// frames of 128 bytes of payload with blocking send(), one socket after the other, and says what that cost.
//
//   floor PORT N      prints `ready` when it listens and `open` when all N are there, then reads lines of stdin:
//     b K M P         M rounds over all sockets, K frames a write, P milliseconds from the start of one round to the
//                     next (0: at once); prints {"deliveries","cpu_s","wall_s"}
//     q               ends; so does the end of stdin
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { PAYLOAD = 128, FRAME = PAYLOAD + 4, FRAMES_MAX = 64, BACKLOG = 4096 };

static const char SWITCH[] = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                             "Connection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n";

static double wall(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec / 1e9;
}

static double cpu(void) {
  struct rusage r;
  getrusage(RUSAGE_SELF, &r);
  return r.ru_utime.tv_sec + r.ru_stime.tv_sec + (r.ru_utime.tv_usec + r.ru_stime.tv_usec) / 1e6;
}

static int listening(int port) {
  int one = 1, fd = socket(AF_INET, SOCK_STREAM, 0);
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port)};
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (bind(fd, (void *)&at, sizeof at) || listen(fd, BACKLOG)) {
    perror("floor: listen");
    exit(1);
  }
  return fd;
}

static void accept_all(int listener, int *sockets, int count) {
  char request[4096];
  int one = 1;
  for (int i = 0; i < count; i++) {
    sockets[i] = accept(listener, 0, 0);
    setsockopt(sockets[i], IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (recv(sockets[i], request, sizeof request, 0) <= 0 ||
        send(sockets[i], SWITCH, sizeof SWITCH - 1, MSG_NOSIGNAL) <= 0) {
      perror("floor: handshake");
      exit(1);
    }
  }
}

static void sleep_until(double at) {
  struct timespec t = {.tv_sec = (time_t)at, .tv_nsec = (long)((at - (time_t)at) * 1e9)};
  clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, 0);
}

static void broadcast(const int *sockets, int count, const unsigned char *frames, int k, int rounds, int pause_ms) {
  size_t size = (size_t)FRAME * k;
  double cpu_from = cpu(), wall_from = wall();
  for (int round = 0; round < rounds; round++) {
    if (pause_ms) sleep_until(wall_from + round * pause_ms / 1e3);
    for (int i = 0; i < count; i++)
      for (size_t sent = 0; sent < size;) {
        ssize_t part = send(sockets[i], frames + sent, size - sent, MSG_NOSIGNAL);
        if (part <= 0) {
          perror("floor: send");
          exit(1);
        }
        sent += part;
      }
  }
  printf("{\"deliveries\":%ld,\"cpu_s\":%.6f,\"wall_s\":%.6f}\n", (long)rounds * k * count, cpu() - cpu_from,
         wall() - wall_from);
  fflush(stdout);
}

int main(int argc, char **argv) {
  if (argc != 3) {
    fprintf(stderr, "usage: floor PORT SOCKETS\n");
    return 2;
  }
  int count = atoi(argv[2]), listener = listening(atoi(argv[1])), k, rounds, pause_ms;
  int *sockets = calloc(count, sizeof *sockets);
  static unsigned char frames[FRAME * FRAMES_MAX];
  for (int i = 0; i < FRAMES_MAX; i++) {
    unsigned char *frame = frames + FRAME * i;
    memcpy(frame, (unsigned char[]){0x82, 126, 0, PAYLOAD}, 4);
    memset(frame + 4, 'x', PAYLOAD);
  }
  puts("ready");
  fflush(stdout);
  accept_all(listener, sockets, count);
  puts("open");
  fflush(stdout);
  char line[64];
  while (fgets(line, sizeof line, stdin) && line[0] != 'q')
    if (sscanf(line, "b %d %d %d", &k, &rounds, &pause_ms) == 3 && k >= 1 && k <= FRAMES_MAX)
      broadcast(sockets, count, frames, k, rounds, pause_ms);
  return 0;
}
