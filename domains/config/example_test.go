package config_test

import (
	"errors"
	"fmt"

	"goxl/domains/config"
)

func ExampleParse() {
	src := `
name   = "web"
type   = "pvh"
kernel = "/boot/vmlinuz"
memory = 512
vcpus  = 2
disk   = [ '/dev/vg0/web,raw,xvda,rw' ]
memroy = 1024
`
	spec, warnings, err := config.Parse("web.cfg", []byte(src), config.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, w := range warnings {
		fmt.Println(w)
	}
	fmt.Println(spec.CInfo.Name, spec.BInfo.Type, spec.BInfo.MaxMem, "KiB", spec.Disks[0].VDev)
	// Output:
	// web.cfg:8:1: `memroy' is not a known key (did you mean `memory'?)
	// web pvh 524288 KiB xvda
}

func ExampleError() {
	_, _, err := config.Parse("web.cfg", []byte("name = web\n"), config.Options{})
	var bad *config.Error
	if errors.As(err, &bad) {
		p := bad.Problems[0]
		fmt.Println(p.Code, p.Line, p.Column)
		fmt.Println(p.Hint)
	}
	// Output:
	// config.syntax 1 8
	// text must be in quotes; one assignment per line, or a ; between them
}

func ExampleSpec_AppendJSON() {
	spec := config.NewSpec(config.TypePVH)
	spec.CInfo.Name = config.Some("web")
	spec.BInfo.Kernel = config.Some("/boot/vmlinuz")
	fmt.Printf("%s\n", spec.AppendJSON(nil, config.Release{Major: 4, Minor: 21}))
	// Output:
	// {
	//   "c_info":{
	//     "type":"pvh",
	//     "name":"web"
	//   },
	//   "b_info":{
	//     "sched_params":{},
	//     "kernel":"\/boot\/vmlinuz",
	//     "type.pvh":{},
	//     "arch_arm":{
	//       "arm_sci":{}
	//     },
	//     "arch_x86":{}
	//   }
	// }
}

func ExampleParseDisk() {
	d, err := config.ParseDisk(config.Newest, "format=qcow2, vdev=xvdb, access=ro, target=/srv/a,b.qcow2")
	fmt.Println(d.VDev, d.Format, d.ReadWrite, d.Path, err)
	// Output: xvdb qcow2 0 /srv/a,b.qcow2 <nil>
}

func ExampleParseCPUs() {
	cpus, err := config.ParseCPUs("0-7,^2-3", config.Host{MaxCPUs: 8})
	fmt.Println(config.FormatCPUs(cpus, 8), err)
	// Output: 0-1,4-7 <nil>
}
