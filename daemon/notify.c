#include "daemon/notify.h"

#include <stdarg.h>
#include <stdio.h>
#include <systemd/sd-daemon.h>

#include "daemon/clock.h"

void vs_notify_status(int ready, const char *format, ...)
{
	char words[256];
	va_list args;
	va_start(args, format);
	vsnprintf(words, sizeof words, format, args);
	va_end(args);
	sd_notifyf(0, "%sSTATUS=%s", ready ? "READY=1\n" : "", words);
}

void vs_notify_watchdog(void)
{
	sd_notify(0, "WATCHDOG=1");
}

void vs_notify_stopping(void)
{
	sd_notify(0, "STOPPING=1\nSTATUS=ending: writing the last events to the log");
}

void vs_notify_reloading(void)
{
	sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%llu", (unsigned long long)vs_boottime_ms() * 1000);
}

uint64_t vs_notify_watchdog_ms(void)
{
	uint64_t usec = 0;
	return sd_watchdog_enabled(0, &usec) > 0 ? usec / 1000 : 0;
}
