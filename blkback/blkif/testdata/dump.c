/*
 * Prints blkif's structures as a C compiler lays them out, in both layouts, every
 * field with a value of its own, and its numbers. golden_test.go has the same values.
 *
 * For each release: go run ./xenctrl/abi/golden -program blkback/blkif/testdata/dump.c
 * with -headers, -release, -tag and -o blkback/blkif/testdata/RELEASE.golden.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define __XEN_INTERFACE_VERSION__ 0x00040e00
#include "xen-public/xen.h"
#include "xen-public/event_channel.h"
#include "xen-public/grant_table.h"
#include "xen-public/io/ring.h"
#undef DEFINE_RING_TYPES
#define DEFINE_RING_TYPES(name, q, p) union name##_entry { q req; p rsp; }
#include "xen-public/io/blkif.h"

/* Once more, with the one thing that differs for 32-bit x86. */
#undef __XEN_PUBLIC_IO_BLKIF_H__
#undef DEFINE_RING_TYPES
#define DEFINE_RING_TYPES(name, q, p) union name##32_entry { q req; p rsp; }
typedef uint64_t __attribute__((aligned(4))) uint64_on_i386;
#define uint64_t uint64_on_i386
#define blkif_sector_t sector32_t
#define blkif_request request32
#define blkif_request_t request32_t
#define blkif_request_segment segment32
#define blkif_request_segment_t segment32_t
#define blkif_request_discard discard32
#define blkif_request_discard_t discard32_t
#define blkif_request_indirect indirect32
#define blkif_request_indirect_t indirect32_t
#define blkif_response response32
#define blkif_response_t response32_t
#include "xen-public/io/blkif.h"
#undef uint64_t
#undef blkif_request
#undef blkif_request_discard
#undef blkif_request_indirect
#undef blkif_response

#define NUMBER(c) printf("%s = %lld\n", #c, (long long)(c))

static void dump(const char *name, const void *p, size_t n)
{
    const unsigned char *b = p;
    printf("%s ", name);
    for (size_t i = 0; i < n; i++)
        printf("%02x", b[i]);
    printf("\n");
}

#define ALL(suffix, REQ, DISC, IND, RSP, ENTRY) do {                        \
    struct REQ r; struct DISC d; struct IND x; struct RSP s;                \
    memset(&r, 0, sizeof(r)); memset(&d, 0, sizeof(d));                     \
    memset(&x, 0, sizeof(x)); memset(&s, 0, sizeof(s));                     \
    r.operation = BLKIF_OP_WRITE; r.nr_segments = 11; r.handle = 0x2101;    \
    r.id = 0x0102030405060708ull; r.sector_number = 0x1112131415161718ull;  \
    for (int i = 0; i < 11; i++) {                                          \
        r.seg[i].gref = 0x0d0c0b00u + i;                                    \
        r.seg[i].first_sect = i % 4; r.seg[i].last_sect = 7 - i % 4;        \
    }                                                                       \
    d.operation = BLKIF_OP_DISCARD; d.flag = BLKIF_DISCARD_SECURE;          \
    d.handle = 0x2101; d.id = r.id; d.sector_number = r.sector_number;      \
    d.nr_sectors = 0x2122232425262728ull;                                   \
    x.operation = BLKIF_OP_INDIRECT; x.indirect_op = BLKIF_OP_READ;         \
    x.nr_segments = 0x0201; x.handle = 0x2101; x.id = r.id;                 \
    x.sector_number = r.sector_number;                                      \
    for (int i = 0; i < 8; i++)                                             \
        x.indirect_grefs[i] = 0x0d0c0b00u + i;                              \
    s.id = r.id; s.operation = BLKIF_OP_BARRIER; s.status = BLKIF_RSP_EOPNOTSUPP; \
    dump("request" suffix, &r, sizeof(r));                                  \
    dump("discard" suffix, &d, offsetof(struct DISC, nr_sectors) + 8);      \
    dump("indirect" suffix, &x, offsetof(struct IND, indirect_grefs) + 32); \
    dump("response" suffix, &s, sizeof(s));                                 \
    printf("slot" suffix " = %zu\n", sizeof(union ENTRY));                  \
} while (0)

#define BLKIF_OP_BARRIER BLKIF_OP_WRITE_BARRIER

int main(void)
{
    ALL("64", blkif_request, blkif_request_discard, blkif_request_indirect, blkif_response, blkif_entry);
    ALL("32", request32, discard32, indirect32, response32, blkif32_entry);
    NUMBER(BLKIF_OP_READ);
    NUMBER(BLKIF_OP_WRITE);
    NUMBER(BLKIF_OP_WRITE_BARRIER);
    NUMBER(BLKIF_OP_FLUSH_DISKCACHE);
    NUMBER(BLKIF_OP_DISCARD);
    NUMBER(BLKIF_OP_INDIRECT);
    NUMBER(BLKIF_RSP_OKAY);
    NUMBER(BLKIF_RSP_ERROR);
    NUMBER(BLKIF_RSP_EOPNOTSUPP);
    NUMBER(BLKIF_MAX_SEGMENTS_PER_REQUEST);
    NUMBER(BLKIF_MAX_INDIRECT_PAGES_PER_REQUEST);
    return 0;
}
