package stream_test

import (
	"bytes"
	"fmt"
	"io"
	"log"

	"goxl/migrate/stream"
	"goxl/xenctrl/abi"
)

// A stream of libxc with one page of an HVM guest is written, and read again.
func Example() {
	var file bytes.Buffer
	o := stream.Options{Outermost: stream.LayerLibxc}
	w := stream.NewWriter(&file, o)
	for _, body := range []stream.Body{
		&stream.LibxcHeader{Version: 3, Guest: stream.GuestHVM, XenMajor: 4, XenMinor: 17},
		stream.Mark(stream.TypeStaticDataEnd),
		&stream.PageData{
			PFNs:  []abi.PFN{0x1000, 0x1001},
			Types: []stream.PageType{stream.PageNormal, stream.PageNone},
			Data:  make([]byte, abi.PageSize),
		},
		stream.HVMContext{0, 0, 0, 0, 0, 0, 0, 0},
		stream.Mark(stream.TypeEnd),
	} {
		if err := w.Write(body); err != nil {
			log.Fatal(err)
		}
	}

	r := stream.NewReader(&file, o)
	for {
		rec, err := r.Next()
		if err == io.EOF {
			return
		}
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%#x %v\n", rec.Offset, rec.Body.Type())
		if pages, ok := rec.Body.(*stream.PageData); ok {
			for i, content := range pages.All {
				fmt.Printf("  %#x is %v, %d bytes\n", uint64(pages.PFNs[i]), pages.Types[i], len(content))
			}
		}
	}
	// Output:
	// 0x0 libxc header
	// 0x28 STATIC_DATA_END
	// 0x30 PAGE_DATA
	//   0x1000 is normal, 4096 bytes
	//   0x1001 is not there, 0 bytes
	// 0x1050 HVM_CONTEXT
	// 0x1060 END
}

// An error says what is wrong, in which record and where.
func ExampleError() {
	damaged := []byte("LibxlFmt\x00\x00\x00\x02\x00\x00\x00\x00" + "\x03\x00\x00\x00\xff\xff\xff\xff")
	_, err := stream.Verify(bytes.NewReader(damaged), stream.Options{Outermost: stream.LayerLibxl})
	fmt.Println(err)
	// Output:
	// record 0 (EMULATOR_CONTEXT) at offset 0x10: LIBXC_CONTEXT has to come first
}
