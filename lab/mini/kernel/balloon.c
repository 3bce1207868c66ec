/* The balloon: gives pages to Xen and takes them back, as memory/target says. */
#include "mini.h"

static u64 target; /* pages; 0: as it is */
static u64 retry;  /* when Xen had none: the time to ask again */
static u64 pfns[BATCH], frames[BATCH];

void balloon_to(u64 kib)
{
	target = kib / 4;
	retry = 0;
}

static u64 least(u64 a, u64 b)
{
	return a < b ? a : b;
}

static u64 give(u64 n)
{
	n = pool_take(pfns, least(n, BATCH));
	if (!n)
		return 0;
	platform->drop(pfns, frames, n);
	struct reservation r = {.extents = frames, .count = n, .domid = DOMID_SELF};
	long done = HYPERCALL(MEMORY_OP, DECREASE_RESERVATION, &r, 0, 0);
	if (done != (long)n)
		print("goxl-guest: balloon: Xen took %lu of %lu pages\n", (u64)done, n);
	owned_pages -= n;
	return n;
}

static u64 get(u64 n)
{
	n = pool_away(pfns, least(n, BATCH));
	memcpy(frames, pfns, sizeof frames);
	struct reservation r = {.extents = frames, .count = n, .domid = DOMID_SELF};
	long done = n ? HYPERCALL(MEMORY_OP, POPULATE_PHYSMAP, &r, 0, 0) : 0;
	if (done <= 0)
		return 0;
	platform->add(pfns, frames, (u64)done);
	for (long i = 0; i < done; i++)
		pool_back(pfns[i]);
	owned_pages += (u64)done;
	return (u64)done;
}

u64 balloon_pump(void)
{
	u64 before = owned_pages, n = 1;
	if (!target || (retry && now() < retry))
		return retry;
	while (owned_pages > target && n)
		n = give(owned_pages - target);
	while (owned_pages < target && n)
		n = get(target - owned_pages);
	if (owned_pages != before)
		print("balloon: %lu KiB\n", owned_pages * 4);
	retry = owned_pages < target ? now() + SECOND : 0; /* Xen may have some later */
	return retry;
}
