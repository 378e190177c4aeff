#include "clients/ctl/line.h"

#include <errno.h>
#include <linux/serial.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

static volatile sig_atomic_t ended;

static const struct {
	uint32_t baud;
	speed_t speed;
} speeds[] = {
	{ 1200, B1200 },   { 2400, B2400 },     { 4800, B4800 },     { 9600, B9600 },     { 19200, B19200 },
	{ 38400, B38400 }, { 57600, B57600 },   { 115200, B115200 }, { 230400, B230400 }, { 460800, B460800 },
};

int vs_line_parse(const char *text, struct vs_line *ret)
{
	unsigned baud, data, stop;
	char parity, tail;
	struct vs_line line = *ret;
	int n = sscanf(text, "%u %1u%c%1u%c", &baud, &data, &parity, &stop, &tail);
	if (n != 1 && n != 4)
		return -EINVAL;
	line.baud = baud;
	if (n == 4)
		line = (struct vs_line){ baud, parity, (uint8_t)data, (uint8_t)stop };
	if (!strchr("NEO", line.parity) || line.data_bits < 7 || line.data_bits > 8 || line.stop_bits < 1 ||
	    line.stop_bits > 2)
		return -EINVAL;
	for (size_t i = 0; i < sizeof speeds / sizeof speeds[0]; i++)
		if (speeds[i].baud == line.baud) {
			*ret = line;
			return 0;
		}
	return -EINVAL;
}

static speed_t speed_of(uint32_t baud)
{
	for (size_t i = 0; i < sizeof speeds / sizeof speeds[0]; i++)
		if (speeds[i].baud == baud)
			return speeds[i].speed;
	return B0;
}

int vs_line_set(int fd, const struct vs_line *line)
{
	struct termios t;
	if (tcgetattr(fd, &t) != 0)
		return -errno;
	cfmakeraw(&t);
	t.c_cflag &= ~(tcflag_t)(CSIZE | CSTOPB | PARENB | PARODD | CRTSCTS);
	t.c_cflag |= CLOCAL | CREAD | (line->data_bits == 7 ? CS7 : CS8);
	t.c_cflag |= line->stop_bits == 2 ? CSTOPB : 0;
	t.c_cflag |= line->parity == 'N' ? 0 : line->parity == 'O' ? PARENB | PARODD : PARENB;
	speed_t speed = speed_of(line->baud);
	if (speed == B0 || cfsetspeed(&t, speed) != 0)
		return -EINVAL;
	return tcsetattr(fd, TCSAFLUSH, &t) == 0 ? 0 : -errno;
}

void vs_line_get(int fd, struct vs_line *ret)
{
	struct termios t;
	if (tcgetattr(fd, &t) != 0)
		return;
	ret->parity = !(t.c_cflag & PARENB) ? 'N' : t.c_cflag & PARODD ? 'O' : 'E';
	ret->data_bits = (t.c_cflag & CSIZE) == CS7 ? 7 : 8;
	ret->stop_bits = t.c_cflag & CSTOPB ? 2 : 1;
	for (size_t i = 0; i < sizeof speeds / sizeof speeds[0]; i++)
		if (speeds[i].speed == cfgetispeed(&t))
			ret->baud = speeds[i].baud;
}

int vs_line_errors(int fd, struct vs_line_errors *ret)
{
	struct serial_icounter_struct n;
	if (ioctl(fd, TIOCGICOUNT, &n) != 0)
		return -errno;
	*ret = (struct vs_line_errors){ (unsigned)n.frame, (unsigned)n.parity, (unsigned)n.brk };
	return 0;
}

ssize_t vs_line_read(int fd, uint8_t *buf, size_t cap, int timeout_ms)
{
	struct pollfd p = { fd, POLLIN, 0 };
	int ready = poll(&p, 1, timeout_ms);
	if (ready < 0)
		return errno == EINTR ? 0 : -errno;
	if (ready == 0)
		return 0;
	ssize_t n = read(fd, buf, cap);
	if (n == 0 || (n < 0 && errno == EIO)) /* a pty whose other end has closed says EIO */
		return -EPIPE;
	return n < 0 ? errno == EINTR || errno == EAGAIN ? 0 : -errno : n;
}

int vs_line_write(int fd, const uint8_t *buf, size_t len)
{
	while (len) {
		ssize_t n = write(fd, buf, len);
		if (n < 0 && errno != EINTR)
			return -errno;
		buf += n > 0 ? n : 0;
		len -= n > 0 ? (size_t)n : 0;
	}
	return 0;
}

static void on_signal(int number)
{
	(void)number;
	ended = 1;
}

void vs_line_catch_end(void)
{
	struct sigaction a = { .sa_handler = on_signal }; /* without SA_RESTART: a read that waits ends */
	sigaction(SIGINT, &a, NULL);
	sigaction(SIGTERM, &a, NULL);
}

bool vs_line_ended(void)
{
	return ended;
}
