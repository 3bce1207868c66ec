/* The pattern. Every page that the kernel does not need holds its own number, a
   generation, words that follow from both, and a checksum over all that. The
   generation is also in a table: a page that was lost on the way from one host to
   another, and so is older than the table says, does not go unnoticed. */
#include "mini.h"

#define MAGIC 0x6e72657474617030UL
#define WORDS (PAGE / sizeof(u64))
#define KEPT 256 /* pages that are never given away */

enum { TAKEN = 0, AWAY = 0xffffffff, FREE = 1 };

u64 pattern_pages, rewritten;
static u32 *generations; /* by page; or TAKEN or AWAY */
static u32 newest = FREE;

u64 pool_size(void)
{
	return (max_pages * sizeof *generations + PAGE - 1) / PAGE;
}

void pool_start(void *table)
{
	generations = memset(table, 0, pool_size() * PAGE);
}

void pool_add(u64 from, u64 to)
{
	for (; from < to; from++) {
		generations[from] = FREE;
		pattern_pages++;
	}
	/* What lies behind may come later. */
	for (u64 pfn = to; platform == &pv && pfn >= owned_pages && pfn < max_pages; pfn++)
		generations[pfn] = AWAY;
}

static int filled(u64 pfn)
{
	return generations[pfn] != TAKEN && generations[pfn] != AWAY;
}

static u64 checksum(const u64 *w)
{
	u64 sum = w[0] ^ w[1] ^ w[2] << 32;
	for (u64 i = 4; i < WORDS; i++)
		sum = (sum << 5 | sum >> 59) + w[i];
	return sum;
}

static void fill(u64 pfn)
{
	u64 *w = (u64 *)(pfn * PAGE);
	u64 step = (pfn << 32 ^ generations[pfn] ^ MAGIC) * 0x9e3779b97f4a7c15UL | 1;
	w[0] = MAGIC;
	w[1] = pfn;
	w[2] = generations[pfn];
	for (u64 i = 4, x = step; i < WORDS; i++, x += step)
		w[i] = x;
	w[3] = checksum(w);
}

void pattern_start(void)
{
	for (u64 pfn = 0; pfn < max_pages; pfn++)
		if (filled(pfn))
			fill(pfn);
}

static int good(u64 pfn)
{
	const u64 *w = (const u64 *)(pfn * PAGE);
	return w[0] == MAGIC && w[1] == pfn && w[2] == generations[pfn] && w[3] == checksum(w);
}

void pattern_check(void)
{
	u64 bad = 0, pages = 0;
	for (u64 pfn = 0; pfn < max_pages; pfn++) {
		if (!filled(pfn))
			continue;
		pages++;
		if (good(pfn))
			continue;
		const u64 *w = (const u64 *)(pfn * PAGE);
		if (bad++ < 8)
			print("pattern: BAD pfn %lx: holds pfn %lx generation %lu, want generation %u\n", pfn, w[1], w[2], generations[pfn]);
	}
	if (bad)
		print("pattern: BAD, %lu of %lu pages\n", bad, pages);
	else
		print("pattern: ok, %lu pages, generation %u\n", pages, newest);
}

void pattern_dirty(u64 pages)
{
	static u64 at;
	for (u64 seen = 0; pages && seen < max_pages; seen++, at++) {
		if (at >= max_pages)
			at = 0;
		if (!filled(at))
			continue;
		generations[at] = ++newest;
		fill(at);
		rewritten++;
		pages--;
	}
}

u64 pool_take(u64 *pfns, u64 n)
{
	u64 got = 0;
	for (u64 pfn = max_pages; pfn-- > 0 && got < n && pattern_pages > KEPT;)
		if (filled(pfn)) {
			generations[pfn] = AWAY;
			pattern_pages--;
			pfns[got++] = pfn;
		}
	return got;
}

u64 pool_away(u64 *pfns, u64 n)
{
	u64 got = 0;
	for (u64 pfn = 0; pfn < max_pages && got < n; pfn++)
		if (generations[pfn] == AWAY)
			pfns[got++] = pfn;
	return got;
}

void pool_back(u64 pfn)
{
	generations[pfn] = newest;
	pattern_pages++;
	fill(pfn);
}
