// Package config turns what people and toolstacks write about a guest into a
// [Spec], and a Spec into the JSON that xl and libxl exchange.
//
// It reads xl.cfg guest files ([Parse]), xl.conf ([ParseConf]), the device
// strings of commands such as block-attach ([ParseDisk], [ParseNIC], …), and the
// JSON that libxl keeps about every running guest ([DecodeJSON]). It writes that
// JSON byte for byte as a given release of the genuine tools would
// ([Spec.AppendJSON]).
//
// The package does no I/O: what depends on the host (how many CPUs there are, …)
// is passed in, so that the same bytes give the same Spec everywhere.
package config
