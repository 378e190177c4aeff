/* Telling the service manager how we are (the protocol of sd_notify(3)); the home of libsystemd.
 * Without $NOTIFY_SOCKET every call does nothing.  None of them waits: what a manager that reads nothing has no room for is
 * said again with the next word, and with vs_notify_again. */
#pragma once
#include <stdint.h>

/* STATUS= in words; ready: READY=1 as well. */
void vs_notify_status(int ready, const char *format, ...) __attribute__((format(printf, 2, 3)));
void vs_notify_watchdog(void);
void vs_notify_stopping(void);
/* A reload begins (RELOADING=1) and ends (READY=1). */
void vs_notify_reloading(void);
/* Once a second: what could not be said before. */
void vs_notify_again(void);
/* The first of all calls.  How often WATCHDOG=1 is due, ms; 0: no watchdog is set. */
uint64_t vs_notify_watchdog_ms(void);
