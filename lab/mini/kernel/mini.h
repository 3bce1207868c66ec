/* The parts of the kernel and what they offer each other. There is one vcpu and
   one thread; events are delivered only inside block(). */
#ifndef MINI_H
#define MINI_H
#include "xen.h"

#define MS 1000000UL /* in ns */
#define SECOND 1000000000UL

/* text.c */
void *memcpy(void *to, const void *from, u64 n);
void *memset(void *to, int c, u64 n);
u64 length(const char *s);
int equal(const char *a, const char *b);
u64 number(const char *s);		      /* leading decimal digits */
/* format knows %s %c %u %x %lu %lx, cuts what has no room, and returns the length. */
u64 format(char *to, u64 room, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
u64 vformat(char *to, u64 room, const char *fmt, __builtin_va_list args);
const char *option(const char *name);	      /* value of name= on the command line, or 0 */
extern char command_line[1024];

/* main.c */
void trap(u32 vector, u64 *frame) __attribute__((noreturn));
void run(void) __attribute__((noreturn)); /* once memory and console are there */
void suspend(void);
void leave(u32 reason) __attribute__((noreturn)); /* shuts down */

#define BATCH 512UL

/* platform: pv.c or pvh.c, chosen once at the start */
struct platform {
	const char *name;
	void (*connect)(void);	    /* find rings and ports, map the shared info */
	void (*wait)(void);	    /* block with events enabled, return with them off */
	long (*suspend)(void);	    /* 1: cancelled; 0: this is another domain; <0: refused */
	/* drop unmaps pages that leave and says which frames Xen gets; add maps
	   pages that have come. At most BATCH at a time. */
	void (*drop)(const u64 *pfns, u64 *frames, u64 n);
	void (*add)(const u64 *pfns, const u64 *frames, u64 n);
};
extern const struct platform *platform, pv, pvh;
extern struct shared_info *shared;
extern struct console_ring *console;
extern struct store_ring *store;
extern u32 console_port, store_port;
extern u64 max_pages;	/* pages that the guest can ever have */
extern u64 owned_pages; /* pages that it has */

/* event.c */
void events_start(void);	  /* after platform->connect: timer and ports */
void events_clear(void);	  /* before looking at what may have happened */
void block(u64 until);		  /* until an event, or the system time until unless 0 */
void notify(u32 port);
u64 now(void);			  /* Xen's system time, ns; of this host only */
u64 wall(void);			  /* ns since 1970 */
extern u64 wakes;

/* console.c */
void print(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void console_pump(void);	  /* move output to the ring, take input */
void console_flush(u64 limit);	  /* wait until the output is consumed, at most limit ns */
void command(char *line);	  /* commands.c: a line of input */

/* store.c */
enum { FIRED_SHUTDOWN = 1, FIRED_SYSRQ = 2, FIRED_TARGET = 4 };
extern u32 fired;		  /* watches that fired since they were looked at */
void store_connect(void);	  /* forget the old connection */
void store_pump(void);		  /* take watch events */
int store_read(u32 tx, const char *path, char *to, u64 room); /* length, or -1 */
int store_write(u32 tx, const char *path, const char *value);
int store_watch(const char *path, const char *token);
u32 store_begin(void);		  /* transaction, 0 when there is none to be had */
int store_end(u32 tx);		  /* 0, or -1: try again */

/* control.c */
void control_start(void);
void control_pump(void);
void exit_by_name(const char *name);

/* pattern.c: who has which page */
u64 pool_size(void);		  /* pages of the table that pool_start takes */
void pool_start(void *table);	  /* cleared by it */
void pool_add(u64 from, u64 to);  /* pages that are free */
void pattern_start(void);	  /* fills all free pages */
void pattern_check(void);	  /* prints the result */
void pattern_dirty(u64 pages);	  /* rewrites the next pages */
u64 pool_take(u64 *pfns, u64 n);  /* picks pages to give away, the highest first; returns how many */
u64 pool_away(u64 *pfns, u64 n);  /* picks pages to get back, the lowest first */
void pool_back(u64 pfn);	  /* a page is there again */
extern u64 pattern_pages, rewritten;

/* balloon.c */
void balloon_to(u64 kib);
u64 balloon_pump(void);		  /* goes on; returns when it wants to be called again, 0: on request */

/* work.c: what is due by the clock */
void work_start(void);
u64 work_pump(void);		  /* does what is due; returns when it wants to be called again, 0: never */
void work_sleep(void);		  /* before a suspend */
void work_wake(int moved);	  /* after it */
void work_skip(void);		  /* time since the last tick does not count as a gap */
void gap_print(void);
extern u64 ticks;

#endif
