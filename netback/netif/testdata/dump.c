/*
 * Prints netif's structures as a C compiler lays them out, every field with a
 * value of its own, and its numbers. golden_test.go has the same values.
 *
 * For each release: go run ./xenctrl/abi/golden -program netback/netif/testdata/dump.c
 * with -headers, -release, -tag and -o netback/netif/testdata/RELEASE.golden.
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
#include "xen-public/io/netif.h"

#define V8(n)  ((uint8_t)(0x30 + (n)))
#define V16(n) ((uint16_t)(0x2100 + (n)))
#define V32(n) ((uint32_t)(0x0d0c0b00u + (n)))

#define NUMBER(c) printf("%s = %lld\n", #c, (long long)(c))
#define SIZE(t) printf("size %s = %zu\n", #t, sizeof(t))

static void dump(const char *name, const void *p, size_t n)
{
    const unsigned char *b = p;
    printf("%s ", name);
    for (size_t i = 0; i < n; i++)
        printf("%02x", b[i]);
    printf("\n");
}

int main(void)
{
    struct netif_tx_request tx = { V32(1), V16(2), V16(3), V16(4), V16(5) };
    struct netif_tx_response txr = { V16(1), NETIF_RSP_DROPPED };
    struct netif_rx_request rx = { V16(1), 0, V32(2) };
    struct netif_rx_response rxr = { V16(1), V16(2), V16(3), NETIF_RSP_ERROR };
    struct netif_extra_info gso = { XEN_NETIF_EXTRA_TYPE_GSO, XEN_NETIF_EXTRA_FLAG_MORE };
    struct netif_extra_info mcast = { XEN_NETIF_EXTRA_TYPE_MCAST_DEL, 0 };
    struct netif_extra_info hash = { XEN_NETIF_EXTRA_TYPE_HASH, 0 };
    struct xen_netif_ctrl_request cr = { V16(1), V16(2), { V32(3), V32(4), V32(5) } };
    struct xen_netif_ctrl_response cs = { V16(1), V16(2), V32(3), V32(4) };

    gso.u.gso.size = V16(1);
    gso.u.gso.type = XEN_NETIF_GSO_TYPE_TCPV6;
    gso.u.gso.features = V16(2);
    for (int i = 0; i < 6; i++)
        mcast.u.mcast.addr[i] = V8(i);
    hash.u.hash.type = _XEN_NETIF_CTRL_HASH_TYPE_IPV6_TCP;
    hash.u.hash.algorithm = XEN_NETIF_CTRL_HASH_ALGORITHM_TOEPLITZ;
    for (int i = 0; i < 4; i++)
        hash.u.hash.value[i] = V8(i);

#define DUMP(name) dump(#name, &name, sizeof(name))
    DUMP(tx);
    DUMP(txr);
    DUMP(rx);
    DUMP(rxr);
    DUMP(gso);
    DUMP(mcast);
    DUMP(hash);
    DUMP(cr);
    DUMP(cs);

    SIZE(union netif_tx_sring_entry);
    SIZE(union netif_rx_sring_entry);
    SIZE(union xen_netif_ctrl_sring_entry);
    NUMBER(XEN_NETIF_NR_SLOTS_MIN);
    NUMBER(XEN_NETIF_MAX_TX_SIZE);
    NUMBER(NETTXF_csum_blank);
    NUMBER(NETTXF_data_validated);
    NUMBER(NETTXF_more_data);
    NUMBER(NETTXF_extra_info);
    NUMBER(NETRXF_data_validated);
    NUMBER(NETRXF_csum_blank);
    NUMBER(NETRXF_more_data);
    NUMBER(NETRXF_extra_info);
    NUMBER(NETRXF_gso_prefix);
    NUMBER(XEN_NETIF_EXTRA_TYPE_GSO);
    NUMBER(XEN_NETIF_EXTRA_TYPE_MCAST_ADD);
    NUMBER(XEN_NETIF_EXTRA_TYPE_MCAST_DEL);
    NUMBER(XEN_NETIF_EXTRA_TYPE_HASH);
    NUMBER(XEN_NETIF_EXTRA_FLAG_MORE);
    NUMBER(XEN_NETIF_GSO_TYPE_TCPV4);
    NUMBER(XEN_NETIF_GSO_TYPE_TCPV6);
    NUMBER(NETIF_RSP_DROPPED);
    NUMBER(NETIF_RSP_ERROR);
    NUMBER(NETIF_RSP_OKAY);
    NUMBER(NETIF_RSP_NULL);
    NUMBER(XEN_NETIF_CTRL_TYPE_GET_HASH_FLAGS);
    NUMBER(XEN_NETIF_CTRL_TYPE_SET_HASH_FLAGS);
    NUMBER(XEN_NETIF_CTRL_TYPE_SET_HASH_KEY);
    NUMBER(XEN_NETIF_CTRL_TYPE_GET_HASH_MAPPING_SIZE);
    NUMBER(XEN_NETIF_CTRL_TYPE_SET_HASH_MAPPING_SIZE);
    NUMBER(XEN_NETIF_CTRL_TYPE_SET_HASH_MAPPING);
    NUMBER(XEN_NETIF_CTRL_TYPE_SET_HASH_ALGORITHM);
    NUMBER(XEN_NETIF_CTRL_TYPE_GET_GREF_MAPPING_SIZE);
    NUMBER(XEN_NETIF_CTRL_TYPE_ADD_GREF_MAPPING);
    NUMBER(XEN_NETIF_CTRL_TYPE_DEL_GREF_MAPPING);
    NUMBER(XEN_NETIF_CTRL_STATUS_SUCCESS);
    NUMBER(XEN_NETIF_CTRL_STATUS_NOT_SUPPORTED);
    NUMBER(XEN_NETIF_CTRL_STATUS_INVALID_PARAMETER);
    NUMBER(XEN_NETIF_CTRL_STATUS_BUFFER_OVERFLOW);
    NUMBER(XEN_NETIF_CTRL_HASH_TYPE_IPV4);
    NUMBER(XEN_NETIF_CTRL_HASH_TYPE_IPV4_TCP);
    NUMBER(XEN_NETIF_CTRL_HASH_TYPE_IPV6);
    NUMBER(XEN_NETIF_CTRL_HASH_TYPE_IPV6_TCP);
    NUMBER(XEN_NETIF_CTRL_HASH_ALGORITHM_NONE);
    NUMBER(XEN_NETIF_CTRL_HASH_ALGORITHM_TOEPLITZ);
    return 0;
}
