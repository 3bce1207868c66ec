package image_test

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"goxl/domains/image"
)

// A kernel of a distribution is a bzImage: Load unpacks it, PVH says whether
// and where it can be entered.
func ExampleLoad() {
	f, err := os.Open("testdata/payload.elf.gz")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		fmt.Println(err)
		return
	}
	im, err := image.Load(f, st.Size(), image.Limits{Unpacked: 64 << 20})
	if err != nil {
		fmt.Println(err)
		return
	}
	pvh, err := im.PVH()
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%d bits, enter at %#x\n", im.Bits, pvh.Entry)
	// Output: 64 bits, enter at 0x1000010
}

func ExampleLimits() {
	text := "#!/bin/sh\n"
	_, err := image.Load(strings.NewReader(text), int64(len(text)), image.Limits{})
	fmt.Println(errors.Is(err, image.ErrFormat), err)
	// Output: true neither an ELF file nor a Linux bzImage: starts with 23 21 2f 62 69 6e 2f 73
}
