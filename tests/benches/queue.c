// An ideal server: one queue and nothing else. Jobs come on an even schedule, each uses the processor for the same work,
// one after the other. How late they are done is the machine's part in a delay of a server that uses so much of it a job;
// a leaner one is less late.
//
//   queue RATE WORK_US SECONDS    prints {"p50_ms","p99_ms","max_ms","slow_share"}
//
// The work is counted in rounds, as many as the machine did in WORK_US on the mean of two seconds just before.
// `slow_share`: of ten-millisecond windows of these two seconds, those in which it did less than half of the median.
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { WINDOWS = 200, ROUNDS_A_LOOK = 100 };
static const double WINDOW_S = 0.01;

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec / 1e9;
}

static void work(long rounds) {
  static volatile unsigned long sum;
  for (long i = 0; i < rounds; i++) sum += i;
}

static int order(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

int main(int argc, char **argv) {
  double asked[3] = {0};
  for (int i = 0; argc == 4 && i < 3; i++) asked[i] = atof(argv[i + 1]);
  double rate = asked[0], work_us = asked[1], span = asked[2];
  if (rate <= 0 || work_us <= 0 || rate * span < 1 || rate * span > 1e7) {
    fprintf(stderr, "usage: queue RATE WORK_US SECONDS\n");
    return 2;
  }
  static double speeds[WINDOWS];
  double total = 0, began = now();
  for (int w = 0; w < WINDOWS; w++) {
    double from = now(), rounds = 0, to;
    do work(ROUNDS_A_LOOK), rounds += ROUNDS_A_LOOK;
    while ((to = now()) - from < WINDOW_S);
    speeds[w] = rounds / (to - from), total += rounds;
  }
  long rounds = total / (now() - began) * work_us / 1e6;
  qsort(speeds, WINDOWS, sizeof *speeds, order);
  int slow = 0;
  while (slow < WINDOWS && speeds[slow] < speeds[WINDOWS / 2] / 2) slow++;

  long jobs = rate * span;
  double *late = calloc(jobs, sizeof *late), start = now() + 0.01;
  for (long job = 0; job < jobs; job++) {
    double due = start + job / rate, wait = due - now();
    if (wait > 0) nanosleep(&(struct timespec){.tv_nsec = wait * 1e9}, 0);
    work(rounds);
    late[job] = now() - due;
  }
  qsort(late, jobs, sizeof *late, order);
  printf("{\"p50_ms\":%.3f,\"p99_ms\":%.3f,\"max_ms\":%.3f,\"slow_share\":%.3f}\n", 1e3 * late[jobs / 2],
         1e3 * late[jobs - 1 - jobs / 100], 1e3 * late[jobs - 1], (double)slow / WINDOWS);
  return 0;
}
