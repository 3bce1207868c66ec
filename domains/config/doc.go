// Package config turns what people and toolstacks write about a guest into a
// [Spec], and a Spec into the JSON that xl and libxl exchange.
//
// It reads xl.cfg guest files ([Parse]), xl.conf ([ParseConf]), the device
// strings of commands such as block-attach ([ParseDisk], [ParseNIC], …), and the
// JSON that libxl keeps about every running guest ([DecodeJSON]). It writes that
// JSON byte for byte as a given [Release] of the genuine tools would
// ([Spec.AppendJSON]), and the S-expressions of old ([Spec.AppendSXP]).
//
//	spec, warnings, err := config.Parse("web.cfg", src, config.Options{})
//	for _, w := range warnings {
//		fmt.Fprintln(os.Stderr, w) // web.cfg:8:1: `memroy' is not a known key (did you mean `memory'?)
//	}
//
// The package does no I/O: what depends on the host (how many CPUs there are, …)
// is passed in, so that the same bytes give the same Spec everywhere.
//
// # What a Spec holds
//
// Parse gives what was asked for and nothing more, but for these, which xl sets
// itself: uuid (if [Options.Rand] is there), run_hotplug_scripts, claim_mode, the
// limits of the grant table and blkdev_start from xl.conf, devid of most devices,
// max_memkb from memory and max_vcpus from vcpus, on_reboot and on_soft_reset,
// e820_host of a PV guest with PCI devices. That is what `xl -N create` prints.
//
// What libxl keeps as userdata of a running guest is the same, with domid as xl
// sets it for a creation ([AnyDomID]) and what was chosen and must stay when the
// guest is built again: devid, MAC and type of interfaces, UUIDs, video_memkb, and
// msr_relaxed. All other defaults are chosen anew each time; package domains does
// that.
//
// # Problems
//
// A [Problem] carries two texts: ours, with line, column and a hint, and in Text
// the bytes that the genuine xl writes to stderr. Where xl says nothing, such as
// for a key that it does not know, Text is empty. An [Error] is what keeps a
// configuration from being used, with xl's exit status; its Code is stable.
//
// # Where xl is not followed
//
//   - What crashes xl is an error: zero bytes in a string, an empty channel, a
//     connector without a resolution, a type=virtio without the part after it.
//   - A bad vcpu range in vnuma is an error; xl goes on with the last good one.
//   - rdm="strategy=host" without a policy leaves the policy unset; xl copies one
//     that it never set. From 4.15 on xl drops the setting if it has a policy, and
//     so do we, with a warning.
//   - From 4.21 on libxl writes unsigned numbers of 2^31 and more as negative ones
//     and cannot read them; we write them as they are.
//   - Lists nested more than 1000 deep, vcpus above 65536 and disk descriptions
//     of more than 64 KiB are not taken.
package config
