package netif

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// The values that testdata/dump.c gives to fields.
func v16(n int) uint16 { return uint16(0x2100 + n) }
func v32(n int) uint32 { return uint32(0x0d0c0b00 + n) }

// put returns what fill writes to a slot that was full of something else.
func put(size int, fill func(b []byte)) []byte {
	b := bytes.Repeat([]byte{0xaa}, size)
	fill(b)
	return b
}

func layouts() map[string][]byte {
	addr := [6]byte{0x30, 0x31, 0x32, 0x33, 0x34, 0x35}
	gso := Extra{Type: ExtraGSO, More: true, SegmentSize: v16(1), GSO: GSOTCPv6, GSOFeatures: v16(2)}
	mcast := Extra{Type: ExtraMcastDel, Addr: addr}
	hash := Extra{Type: ExtraHash, HashType: 3, Algorithm: HashToeplitz, Hash: 0x33323130}
	tx := TxRequest{0x0d0c0b01, v16(2), TxFlags(v16(3)), v16(4), v16(5)}
	return map[string][]byte{
		"tx":    put(TxSlotSize, tx.Put),
		"txr":   put(TxSlotSize, TxResponse{v16(1), StatusDropped}.Put),
		"rx":    put(RxSlotSize, RxRequest{v16(1), 0x0d0c0b02}.Put),
		"rxr":   put(RxSlotSize, RxResponse{v16(1), v16(2), RxFlags(v16(3)), StatusError}.Put),
		"gso":   put(ExtraSize, gso.Put),
		"mcast": put(ExtraSize, mcast.Put),
		"hash":  put(ExtraSize, hash.Put),
		"cr":    put(CtrlSlotSize, CtrlRequest{v16(1), CtrlType(v16(2)), [3]uint32{v32(3), v32(4), v32(5)}}.Put),
		"cs":    put(CtrlSlotSize, CtrlResponse{v16(1), CtrlType(v16(2)), CtrlStatus(v32(3)), v32(4)}.Put),
	}
}

func numbers() map[string]int {
	return map[string]int{
		"size union netif_tx_sring_entry":           TxSlotSize,
		"size union netif_rx_sring_entry":           RxSlotSize,
		"size union xen_netif_ctrl_sring_entry":     CtrlSlotSize,
		"XEN_NETIF_NR_SLOTS_MIN":                    MinSlots,
		"XEN_NETIF_MAX_TX_SIZE":                     MaxPacket,
		"NETTXF_csum_blank":                         int(TxChecksumBlank),
		"NETTXF_data_validated":                     int(TxDataValidated),
		"NETTXF_more_data":                          int(TxMoreData),
		"NETTXF_extra_info":                         int(TxExtraInfo),
		"NETRXF_data_validated":                     int(RxDataValidated),
		"NETRXF_csum_blank":                         int(RxChecksumBlank),
		"NETRXF_more_data":                          int(RxMoreData),
		"NETRXF_extra_info":                         int(RxExtraInfo),
		"NETRXF_gso_prefix":                         int(RxGSOPrefix),
		"XEN_NETIF_EXTRA_TYPE_GSO":                  int(ExtraGSO),
		"XEN_NETIF_EXTRA_TYPE_MCAST_ADD":            int(ExtraMcastAdd),
		"XEN_NETIF_EXTRA_TYPE_MCAST_DEL":            int(ExtraMcastDel),
		"XEN_NETIF_EXTRA_TYPE_HASH":                 int(ExtraHash),
		"XEN_NETIF_EXTRA_FLAG_MORE":                 extraMore,
		"XEN_NETIF_GSO_TYPE_TCPV4":                  int(GSOTCPv4),
		"XEN_NETIF_GSO_TYPE_TCPV6":                  int(GSOTCPv6),
		"NETIF_RSP_DROPPED":                         int(StatusDropped),
		"NETIF_RSP_ERROR":                           int(StatusError),
		"NETIF_RSP_OKAY":                            int(StatusOK),
		"NETIF_RSP_NULL":                            int(StatusNull),
		"XEN_NETIF_CTRL_TYPE_GET_HASH_FLAGS":        int(CtrlGetHashFlags),
		"XEN_NETIF_CTRL_TYPE_SET_HASH_FLAGS":        int(CtrlSetHashFlags),
		"XEN_NETIF_CTRL_TYPE_SET_HASH_KEY":          int(CtrlSetHashKey),
		"XEN_NETIF_CTRL_TYPE_GET_HASH_MAPPING_SIZE": int(CtrlGetHashMappingSize),
		"XEN_NETIF_CTRL_TYPE_SET_HASH_MAPPING_SIZE": int(CtrlSetHashMappingSize),
		"XEN_NETIF_CTRL_TYPE_SET_HASH_MAPPING":      int(CtrlSetHashMapping),
		"XEN_NETIF_CTRL_TYPE_SET_HASH_ALGORITHM":    int(CtrlSetHashAlgorithm),
		"XEN_NETIF_CTRL_TYPE_GET_GREF_MAPPING_SIZE": int(CtrlGetGrefMappingSize),
		"XEN_NETIF_CTRL_TYPE_ADD_GREF_MAPPING":      int(CtrlAddGrefMapping),
		"XEN_NETIF_CTRL_TYPE_DEL_GREF_MAPPING":      int(CtrlDelGrefMapping),
		"XEN_NETIF_CTRL_STATUS_SUCCESS":             int(CtrlSuccess),
		"XEN_NETIF_CTRL_STATUS_NOT_SUPPORTED":       int(CtrlNotSupported),
		"XEN_NETIF_CTRL_STATUS_INVALID_PARAMETER":   int(CtrlInvalidParameter),
		"XEN_NETIF_CTRL_STATUS_BUFFER_OVERFLOW":     int(CtrlBufferOverflow),
		"XEN_NETIF_CTRL_HASH_TYPE_IPV4":             int(HashIPv4),
		"XEN_NETIF_CTRL_HASH_TYPE_IPV4_TCP":         int(HashIPv4TCP),
		"XEN_NETIF_CTRL_HASH_TYPE_IPV6":             int(HashIPv6),
		"XEN_NETIF_CTRL_HASH_TYPE_IPV6_TCP":         int(HashIPv6TCP),
		"XEN_NETIF_CTRL_HASH_ALGORITHM_NONE":        int(HashNone),
		"XEN_NETIF_CTRL_HASH_ALGORITHM_TOEPLITZ":    int(HashToeplitz),
	}
}

// TestGolden compares with what a C compiler makes of each release's header. A
// slot that is longer than its structure must be zero behind it.
func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/*.golden")
	if err != nil || len(files) != 9 {
		t.Fatalf("golden files: %v, %v", files, err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			bytesLeft, numbersLeft := layouts(), numbers()
			f, err := os.Open(file)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			for s := bufio.NewScanner(f); s.Scan(); {
				line := s.Text()
				if strings.HasPrefix(line, "#") {
					continue
				}
				if name, value, ok := strings.Cut(line, " = "); ok {
					n, err := strconv.Atoi(value)
					if got, have := numbers()[name]; err != nil || !have || got != n {
						t.Errorf("%s is %s, ours %d (%v)", name, value, got, have)
					}
					delete(numbersLeft, name)
					continue
				}
				name, text, _ := strings.Cut(line, " ")
				want, err := hex.DecodeString(text)
				if err != nil {
					t.Fatal(err)
				}
				got := layouts()[name]
				if len(got) < len(want) || !bytes.Equal(got[:len(want)], want) {
					t.Errorf("%s is %x, ours %x", name, want, got)
				} else if rest := got[len(want):]; !bytes.Equal(rest, make([]byte, len(rest))) {
					t.Errorf("%s: %x behind the structure", name, rest)
				}
				delete(bytesLeft, name)
			}
			if len(bytesLeft)+len(numbersLeft) > 0 {
				t.Errorf("not in the golden file: %v %v", bytesLeft, numbersLeft)
			}
		})
	}
}
