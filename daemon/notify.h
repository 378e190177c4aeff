/* Telling the service manager how we are (sd_notify(3)); the home of libsystemd.
 * Without $NOTIFY_SOCKET every call does nothing. */
#pragma once
#include <stdint.h>

/* STATUS= in words; ready: READY=1 as well. */
void vs_notify_status(int ready, const char *format, ...) __attribute__((format(printf, 2, 3)));
void vs_notify_watchdog(void);
void vs_notify_stopping(void);
/* A reload begins (RELOADING=1) and ends (READY=1). */
void vs_notify_reloading(void);
/* How often WATCHDOG=1 is due, ms; 0: no watchdog is set. */
uint64_t vs_notify_watchdog_ms(void);
