/* The life of the guest. */
#include "mini.h"

const struct platform *platform;
struct shared_info *shared;
struct console_ring *console;
struct store_ring *store;
u32 console_port, store_port;
u64 max_pages, owned_pages;

/* leave gives the console's reader a moment, then ends the guest. */
void leave(u32 reason)
{
	console_flush(2 * SECOND);
	for (;;)
		HYPERCALL(SCHED_OP, SCHEDOP_SHUTDOWN, &reason, 0, 0);
}

void trap(u32 vector, u64 *frame)
{
	u64 address;
	asm volatile("mov %%cr2, %0" : "=r"(address)); /* PV: Xen emulates it */
	print("goxl-guest: exception %u, error %lx, at %lx, address %lx\n", vector, frame[0], frame[1], address);
	leave(CRASH);
}

/* suspend stops the guest until it is resumed: here, or in another domain that
   was made of what was saved. */
void suspend(void)
{
	console_flush(2 * SECOND);
	work_sleep();
	long result = platform->suspend();
	platform->connect();
	events_start();
	if (result < 0) {
		print("goxl-guest: suspend: error %lu\n", (u64)-result);
		return;
	}
	work_wake(result == 0);
	if (result == 0) {
		store_connect();
		control_start();
		print("goxl-guest resumed\n");
	} else {
		print("goxl-guest resumed in place\n");
	}
	gap_print();
	pattern_check();
	work_skip();
}

static u32 vcpus(void)
{
	char path[32], value[16];
	u32 online = 0;
	for (u32 i = 0;; i++) {
		format(path, sizeof path, "cpu/%u/availability", i);
		if (store_read(0, path, value, sizeof value) < 0)
			return online;
		online += (u32)equal(value, "online");
	}
}

void run(void)
{
	events_start();
	store_connect();
	control_start();
	control_pump();
	balloon_pump(); /* before pages are touched: more may be promised than is there */
	pattern_start();
	print("goxl-guest ready: mini %s, %u vcpus, %lu KiB\n", platform->name, vcpus(), owned_pages * 4);
	work_start();
	for (;;) {
		events_clear();
		console_pump();
		control_pump();
		u64 next = work_pump();
		block(next);
	}
}
