/* Links over serial lines: UARTs, USB adapters, ptys.
 *
 * The descriptor never blocks: opening does not wait for a carrier, closing does not wait for bytes that nobody takes.
 * Lines for Modbus RTU are opened and set up by libmodbus (speed, parity, stop bits), which lends the descriptor; all
 * others by termios here.  A line that hangs up (adapter unplugged, pty closed) reads end of file or EIO. */
#include "daemon/link_kind.h"

#include <errno.h>
#include <fcntl.h>
#include <modbus.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <termios.h>
#include <unistd.h>

/* Speeds that termios and libmodbus both know; libmodbus would take any other for 9600 without a word. */
static const struct {
	uint32_t baud;
	speed_t code;
} speeds[] = {
	{ 110, B110 },       { 300, B300 },       { 600, B600 },       { 1200, B1200 },     { 2400, B2400 },
	{ 4800, B4800 },     { 9600, B9600 },     { 19200, B19200 },   { 38400, B38400 },   { 57600, B57600 },
	{ 115200, B115200 }, { 230400, B230400 }, { 460800, B460800 }, { 500000, B500000 }, { 576000, B576000 },
	{ 921600, B921600 },
};

static const speed_t *speed_of(uint32_t baud)
{
	for (size_t i = 0; i < sizeof speeds / sizeof *speeds; i++)
		if (speeds[i].baud == baud)
			return &speeds[i].code;
	return NULL;
}

bool vs_line_is_possible(const struct vs_line *line)
{
	return speed_of(line->baud) && line->data_bits >= 5 && line->data_bits <= 8 && line->stop_bits >= 1 &&
	       line->stop_bits <= 2 && (line->parity == 'N' || line->parity == 'E' || line->parity == 'O');
}

static void set_up(struct termios *t, const struct vs_line *line)
{
	static const tcflag_t sizes[] = { CS5, CS6, CS7, CS8 };
	cfmakeraw(t);
	t->c_cflag &= ~(tcflag_t)(CSIZE | PARENB | PARODD | CSTOPB | CRTSCTS | HUPCL);
	t->c_cflag |= sizes[line->data_bits - 5] | CLOCAL | CREAD;
	t->c_iflag &= ~(tcflag_t)(INPCK | IXOFF | IXANY);
	if (line->parity != 'N') {
		t->c_cflag |= PARENB | (line->parity == 'O' ? PARODD : 0);
		t->c_iflag |= INPCK; /* a byte with bad parity reads as 0: the frame's checksum does the rest */
	}
	if (line->stop_bits == 2)
		t->c_cflag |= CSTOPB;
	t->c_cc[VMIN] = 1; /* without it "nothing there" would read like the end of the line */
	t->c_cc[VTIME] = 0;
}

static int open_plain(const struct vs_link_spec *spec)
{
	struct termios t;
	int fd = open(spec->place, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	int r = -ENOTTY;
	if (!isatty(fd) || tcgetattr(fd, &t) < 0)
		goto fail;
	set_up(&t, &spec->line);
	const speed_t *speed = speed_of(spec->line.baud);
	r = -EINVAL;
	if (!speed || cfsetspeed(&t, *speed) < 0 || tcsetattr(fd, TCSANOW, &t) < 0)
		goto fail;
	return fd;
fail:
	close(fd);
	return r;
}

static int open_rtu(const struct vs_link_spec *spec, void **ret)
{
	modbus_t *m = modbus_new_rtu(spec->place, (int)spec->line.baud, spec->line.parity, spec->line.data_bits,
				     spec->line.stop_bits);
	struct termios t;
	if (!m)
		return -errno;
	if (modbus_connect(m) < 0) {
		int r = errno ? -errno : -EIO;
		modbus_free(m);
		return r;
	}
	int fd = modbus_get_socket(m);
	fcntl(fd, F_SETFD, FD_CLOEXEC);
	if (tcgetattr(fd, &t) == 0) {
		t.c_cc[VMIN] = 1;
		tcsetattr(fd, TCSANOW, &t);
	}
	tcflush(fd, TCIOFLUSH);
	*ret = m;
	return fd;
}

static void on_closed(uv_handle_t *h)
{
	free(h->data);
}

static void let_go(struct vs_conn *c)
{
	tcflush(c->fd, TCIOFLUSH); /* or close would wait for bytes that an unplugged device does not take */
	ioctl(c->fd, TIOCNXCL);
	if (c->modbus) {
		modbus_close(c->modbus);
		modbus_free(c->modbus);
	} else {
		close(c->fd);
	}
}

static void on_ready(uv_poll_t *poll, int status, int events)
{
	struct vs_conn *c = poll->data;
	(void)events;
	size_t cap;
	uint8_t *buf = vs_link_scratch(&cap);
	ssize_t n = status < 0 ? -1 : read(c->fd, buf, cap);
	if (n > 0)
		vs_link_got(c, buf, (size_t)n);
	else if (n == 0)
		vs_link_was_lost(c->link, UV_EOF);
	else if (status < 0 || (errno != EAGAIN && errno != EINTR))
		vs_link_was_lost(c->link, status < 0 ? status : -errno);
}

/* A second reader would take every other byte.  Not on ptys: there the claim of a daemon that was killed stays
 * as long as anybody has the other end open. */
static void claim(int fd)
{
	struct stat st;
	if (fstat(fd, &st) == 0 && (major(st.st_rdev) < 136 || major(st.st_rdev) > 143))
		ioctl(fd, TIOCEXCL);
}

static int serial_open(struct vs_link *l)
{
	struct vs_conn *c = calloc(1, sizeof *c);
	if (!c)
		return -ENOMEM;
	int r = c->fd = l->spec.kind == VS_LINK_RTU ? open_rtu(&l->spec, &c->modbus) : open_plain(&l->spec);
	if (r < 0) {
		free(c);
		return r;
	}
	claim(c->fd);
	r = uv_poll_init(l->loop, &c->poll, c->fd);
	if (r < 0) {
		let_go(c);
		free(c);
		return r;
	}
	c->handle.data = c;
	c->link = l;
	l->conn = c;
	r = uv_poll_start(&c->poll, UV_READABLE | UV_DISCONNECT, on_ready);
	if (r < 0)
		return r;
	vs_link_is_now_up(l);
	return 0;
}

static int serial_send(struct vs_conn *c, const uint8_t *bytes, size_t len)
{
	ssize_t n = write(c->fd, bytes, len);
	return n < 0 ? -errno : (size_t)n < len ? -EAGAIN : 0;
}

static void serial_flush(struct vs_conn *c)
{
	tcflush(c->fd, TCIFLUSH);
}

static void serial_close(struct vs_conn *c)
{
	uv_poll_stop(&c->poll);
	let_go(c);
	uv_close(&c->handle, on_closed);
}

const struct vs_link_kind_ops vs_link_serial = { .open = serial_open, .send = serial_send, .flush = serial_flush,
						 .close = serial_close };
