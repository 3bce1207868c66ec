/* Event channels, the timer and the clocks. */
#include "mini.h"

u64 wakes;

static void unmask(u32 port)
{
	HYPERCALL(EVENT_CHANNEL_OP, EVTCHNOP_UNMASK, &port, 0, 0);
}

void events_start(void)
{
	struct bind_virq timer = {.virq = VIRQ_TIMER};
	if (HYPERCALL(EVENT_CHANNEL_OP, EVTCHNOP_BIND_VIRQ, &timer, 0, 0) == 0)
		unmask(timer.port); /* else it is bound already: a cancelled suspend */
	HYPERCALL(VCPU_OP, VCPUOP_STOP_PERIODIC_TIMER, 0, 0, 0);
	unmask(console_port);
	unmask(store_port);
}

/* events_clear forgets what was pending. All ports are looked at by every round
   of the main loop, so it does not matter which they were. */
void events_clear(void)
{
	shared->vcpu[0].upcall_pending = 0;
	fence();
	u64 words = __atomic_exchange_n(&shared->vcpu[0].pending_sel, 0, __ATOMIC_SEQ_CST);
	for (u32 i = 0; i < 64; i++)
		if (words >> i & 1)
			__atomic_exchange_n(&shared->pending[i], 0, __ATOMIC_SEQ_CST);
}

void block(u64 until)
{
	/* Anew each time: by our reading of the clock it may have fired too early. */
	struct timer t = {.at = until};
	if (until)
		HYPERCALL(VCPU_OP, VCPUOP_SET_SINGLESHOT_TIMER, 0, &t, 0);
	platform->wait();
	wakes++;
}

void notify(u32 port)
{
	HYPERCALL(EVENT_CHANNEL_OP, EVTCHNOP_SEND, &port, 0, 0);
}

static u64 tsc(void)
{
	u32 low, high;
	asm volatile("lfence; rdtsc" : "=a"(low), "=d"(high));
	return (u64)high << 32 | low;
}

u64 now(void)
{
	volatile struct vcpu_time *t = &shared->vcpu[0].time;
	u64 at;
	u32 version;
	do {
		version = t->version;
		barrier();
		u64 passed = tsc() - t->tsc;
		passed = t->shift < 0 ? passed >> -t->shift : passed << t->shift;
		at = t->system + (u64)((unsigned __int128)passed * t->mul >> 32);
		barrier();
	} while (version & 1 || version != t->version);
	return at;
}

u64 wall(void)
{
	volatile struct shared_info *s = shared;
	u64 at;
	u32 version;
	do {
		version = s->wc_version;
		barrier();
		at = ((u64)s->wc_sec_hi << 32 | s->wc_sec) * SECOND + s->wc_nsec;
		barrier();
	} while (version & 1 || version != s->wc_version);
	return at + now();
}
