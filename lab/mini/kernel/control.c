/* What the toolstack asks for in xenstore. Source: docs/misc/xenstore-paths.pandoc,
   control/ and memory/target; the answers are those of Linux. */
#include "mini.h"

static const struct {
	const char *name;
	u32 reason;
} exits[] = {
	{"poweroff", POWEROFF}, {"halt", POWEROFF}, {"reboot", REBOOT}, {"crash", CRASH},
	{"watchdog", WATCHDOG}, {"soft-reset", SOFT_RESET},
};

void exit_by_name(const char *name)
{
	for (u32 i = 0; i < sizeof exits / sizeof *exits; i++)
		if (equal(name, exits[i].name))
			leave(exits[i].reason);
	print("goxl-guest: no way to exit is called %s\n", name);
}

/* fetch takes what a node says and empties it, in a transaction. */
static int fetch(const char *path, char *to, u64 room)
{
	for (;;) {
		u32 tx = store_begin();
		int n = store_read(tx, path, to, room);
		if (n > 0)
			store_write(tx, path, "");
		if (store_end(tx) == 0)
			return n;
	}
}

static void target_read(void)
{
	char value[24];
	if (store_read(0, "memory/target", value, sizeof value) > 0)
		balloon_to(number(value));
}

void control_start(void)
{
	static const char *const able[] = {"control/feature-poweroff", "control/feature-reboot", "control/feature-suspend"};
	for (u32 i = 0; i < sizeof able / sizeof *able; i++)
		store_write(0, able[i], "1");
	store_watch("control/shutdown", "shutdown");
	store_watch("control/sysrq", "sysrq");
	store_watch("memory/target", "target");
}

void control_pump(void)
{
	char value[64];
	store_pump();
	while (fired) {
		u32 what = fired;
		fired = 0;
		if (what & FIRED_TARGET)
			target_read();
		if (what & FIRED_SYSRQ && fetch("control/sysrq", value, sizeof value) > 0)
			print("sysrq: %c\n", value[0]);
		if (what & FIRED_SHUTDOWN && fetch("control/shutdown", value, sizeof value) > 0) {
			if (equal(value, "suspend"))
				suspend();
			else
				exit_by_name(value);
		}
		store_pump();
	}
}
