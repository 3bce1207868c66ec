/* A xenstore client over the ring: one request at a time; watches that fire are
   remembered by their token. Source: docs/misc/xenstore.txt, io/xs_wire.h. */
#include "mini.h"

u32 fired;

static const struct {
	const char *token;
	u32 bit;
} tokens[] = {{"shutdown", FIRED_SHUTDOWN}, {"sysrq", FIRED_SYSRQ}, {"target", FIRED_TARGET}};

/* The message that is arriving. What is longer than the buffer is cut. */
static struct store_header header;
static char body[512];
static u32 header_got, body_got;

void store_connect(void)
{
	volatile struct store_ring *r = store;
	r->rsp_cons = r->rsp_prod;
	header_got = body_got = 0;
}

static int take(char *to)
{
	volatile struct store_ring *r = store;
	if (r->rsp_cons == r->rsp_prod)
		return 0;
	fence();
	*to = store->rsp[r->rsp_cons % sizeof r->rsp];
	fence();
	r->rsp_cons++;
	return 1;
}

static void remember(void)
{
	u32 path = 0;
	while (path < sizeof body && body[path])
		path++;
	if (path + 1 >= sizeof body)
		return;
	for (u32 i = 0; i < sizeof tokens / sizeof *tokens; i++)
		if (equal(body + path + 1, tokens[i].token))
			fired |= tokens[i].bit;
}

/* arrive takes what the ring has and reports whether a reply is complete. */
static int arrive(void)
{
	char ch, any = 0;
	int reply = 0;
	while (!reply && take(&ch)) {
		any = 1;
		if (header_got < sizeof header) {
			((char *)&header)[header_got++] = ch;
		} else {
			if (body_got < sizeof body - 1)
				body[body_got] = ch;
			body_got++;
		}
		if (header_got < sizeof header || body_got < header.len)
			continue;
		body[body_got < sizeof body ? body_got : sizeof body - 1] = 0;
		if (header.type == XS_EVENT)
			remember();
		else
			reply = 1;
		header_got = body_got = 0;
	}
	if (any)
		notify(store_port);
	return reply;
}

void store_pump(void)
{
	arrive();
}

static void send(const void *data, u32 n)
{
	volatile struct store_ring *r = store;
	for (const char *s = data; n; n--, s++) {
		while (r->req_prod - r->req_cons == sizeof r->req) {
			notify(store_port);
			events_clear();
			if (r->req_prod - r->req_cons == sizeof r->req)
				block(0);
		}
		store->req[r->req_prod % sizeof r->req] = *s;
		fence();
		r->req_prod++;
	}
}

/* request sends two strings and waits for the reply in body. A NUL follows the
   first; the second is sent as it is. It returns the reply's length or -1. */
static int request(u32 type, u32 tx, const char *first, const char *second, u32 n)
{
	static u32 id;
	u32 len = (u32)length(first) + 1;
	struct store_header h = {.type = type, .id = ++id, .tx = tx, .len = len + n};
	send(&h, sizeof h);
	send(first, len);
	send(second, n);
	notify(store_port);
	for (;;) {
		events_clear();
		if (arrive() && header.id == id)
			break;
		volatile struct store_ring *r = store;
		if (r->rsp_cons == r->rsp_prod)
			block(0);
	}
	if (header.type == XS_ERROR)
		return -1;
	return (int)(header.len < sizeof body ? header.len : sizeof body - 1);
}

int store_read(u32 tx, const char *path, char *to, u64 room)
{
	int n = request(XS_READ, tx, path, "", 0);
	if (n >= 0) {
		n = (u64)n < room ? n : (int)room - 1;
		memcpy(to, body, (u64)n);
		to[n] = 0;
	}
	return n;
}

int store_write(u32 tx, const char *path, const char *value)
{
	return request(XS_WRITE, tx, path, value, (u32)length(value));
}

int store_watch(const char *path, const char *token)
{
	return request(XS_WATCH, 0, path, token, (u32)length(token) + 1);
}

u32 store_begin(void)
{
	return request(XS_BEGIN, 0, "", "", 0) < 0 ? 0 : (u32)number(body);
}

int store_end(u32 tx)
{
	return request(XS_END, tx, "T", "", 0) < 0 ? -1 : 0;
}
