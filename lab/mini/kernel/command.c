/* Commands on the console, a line each. */
#include "mini.h"

static void stats(void)
{
	print("stats: uptime %lu ms, wall clock %lu ms, %lu wakes, %lu ticks, %lu KiB, %lu pattern pages, %lu rewritten\n",
	      now() / MS, wall() / MS, wakes, ticks, owned_pages * 4, pattern_pages, rewritten);
}

void command(char *line)
{
	static const char leave_by[] = "exit ";
	u64 i = 0;
	while (leave_by[i] && line[i] == leave_by[i])
		i++;
	if (!leave_by[i])
		exit_by_name(line + i);
	else if (equal(line, "check"))
		pattern_check(), work_skip();
	else if (equal(line, "stats"))
		stats();
	else if (equal(line, "gap"))
		gap_print();
	else if (*line)
		print("goxl-guest: commands are check, stats, gap, exit poweroff|halt|reboot|crash|watchdog|soft-reset\n");
}
