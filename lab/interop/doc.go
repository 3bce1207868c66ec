// Package interop holds the tests of both toolstacks on one host: guests made by
// ours are driven, saved, restored, migrated and destroyed by the genuine xl, and
// guests made by the genuine one by every command of ours. The tests run inside
// dom0 of a lab host (see package lab); elsewhere they skip.
package interop
