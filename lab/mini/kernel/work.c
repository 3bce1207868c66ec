/* What happens by the clock: pages are rewritten, ticks counted, and the guest
   ends by itself if it was asked to. */
#include "mini.h"

u64 ticks;
static u64 tick_every, tick_due, last_tick, last_tick_wall, longest_gap;
static u64 dirty_every, dirty_batch, dirty_due;
static u64 exit_due;
static u64 slept;

#define SHORTEST (20 * MS) /* between two rounds of rewriting */

static u64 setting(const char *name, u64 otherwise)
{
	const char *value = option(name);
	return value ? number(value) : otherwise;
}

void work_start(void)
{
	u64 t = now(), rate = setting("mini.dirty", 16);
	if (rate) {
		dirty_batch = 1;
		dirty_every = 4 * SECOND / rate;
		if (dirty_every < SHORTEST) {
			dirty_batch = SHORTEST / dirty_every;
			dirty_every *= dirty_batch;
		}
		dirty_due = t + dirty_every;
	}
	tick_every = setting("mini.tick", 0) * MS;
	tick_due = t + tick_every;
	work_skip();
	if (option("mini.exit"))
		exit_due = t + setting("mini.after", 0) * MS;
}

void work_skip(void)
{
	last_tick = now();
	last_tick_wall = wall();
}

static void gap(u64 ns)
{
	if (tick_every && ns > longest_gap)
		longest_gap = ns;
}

void gap_print(void)
{
	if (tick_every)
		print("longest gap %lu ms\n", longest_gap / MS);
	longest_gap = 0;
}

void work_sleep(void)
{
	slept = now();
}

/* work_wake moves all that was due to the clock of the host where the guest is
   now. Clocks of two hosts agree only in the time of day. */
void work_wake(int moved)
{
	gap(moved ? wall() - last_tick_wall : now() - last_tick);
	u64 shift = now() - slept; /* modulo 2^64: may be negative */
	if (moved) {
		tick_due += shift;
		dirty_due += shift;
		exit_due += exit_due ? shift : 0;
	}
}

static u64 earlier(u64 a, u64 b)
{
	return !a || (b && b < a) ? b : a;
}

u64 work_pump(void)
{
	u64 t = now(), next = 0;
	if (exit_due && t >= exit_due)
		exit_by_name(option("mini.exit"));
	if (tick_every && t >= tick_due) {
		ticks++;
		gap(t - last_tick);
		work_skip();
		tick_due = tick_due + tick_every > t ? tick_due + tick_every : t + tick_every;
	}
	if (dirty_every && t >= dirty_due) {
		pattern_dirty(dirty_batch);
		dirty_due = dirty_due + dirty_every > t ? dirty_due + dirty_every : t + dirty_every;
	}
	next = earlier(next, exit_due);
	next = earlier(next, tick_every ? tick_due : 0);
	next = earlier(next, dirty_every ? dirty_due : 0);
	return earlier(next, balloon_pump());
}
