/* The PV console. Output waits in a backlog for room in the ring, so that only a
   long text to a console that nobody reads makes the kernel wait. */
#include "mini.h"

static char backlog[16384];
static u32 head, tail; /* free-running: text lies in [tail, head) */

static void pump_out(void)
{
	volatile struct console_ring *c = console;
	u32 prod = c->out_prod, sent = 0;
	fence();
	while (tail != head && prod - c->out_cons < sizeof c->out) {
		console->out[prod++ % sizeof c->out] = backlog[tail++ % sizeof backlog];
		sent = 1;
	}
	if (!sent)
		return;
	fence();
	c->out_prod = prod;
	notify(console_port);
}

static void put(char ch)
{
	while (head - tail == sizeof backlog) {
		events_clear();
		pump_out();
		if (head - tail == sizeof backlog)
			block(0);
	}
	backlog[head++ % sizeof backlog] = ch;
}

void print(const char *fmt, ...)
{
	char line[256];
	__builtin_va_list args;
	__builtin_va_start(args, fmt);
	vformat(line, sizeof line, fmt, args);
	__builtin_va_end(args);
	for (const char *s = line; *s; s++) {
		if (*s == '\n')
			put('\r');
		put(*s);
	}
	pump_out();
}

static void pump_in(void)
{
	static char line[128];
	static u32 used;
	volatile struct console_ring *c = console;
	u32 taken = 0;
	while (c->in_cons != c->in_prod) {
		fence();
		char ch = console->in[c->in_cons % sizeof c->in];
		fence();
		c->in_cons++;
		taken = 1;
		if (ch == '\r' || ch == '\n') {
			print("\n");
			line[used] = 0;
			used = 0;
			command(line);
		} else if (used < sizeof line - 1) {
			line[used++] = ch;
			print("%c", ch);
		}
	}
	if (taken)
		notify(console_port);
}

void console_pump(void)
{
	pump_out();
	pump_in();
}

void console_flush(u64 limit)
{
	volatile struct console_ring *c = console;
	u64 end = now() + limit;
	for (;;) {
		events_clear();
		pump_out();
		if ((tail == head && c->out_cons == c->out_prod) || now() >= end)
			return;
		block(end);
	}
}
