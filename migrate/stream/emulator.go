package stream

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"strings"

	"goxl/xenstore/wire"
)

// EmulatorID names a program that emulates devices.
type EmulatorID uint32

// The known emulators. Source: libxl_sr_stream_format.h, EMULATOR_*.
const (
	EmulatorUnknown         EmulatorID = 0 // in a converted stream
	EmulatorQEMUTraditional EmulatorID = 1 // until Xen 4.20
	EmulatorQEMU            EmulatorID = 2
)

func (e EmulatorID) String() string {
	switch e {
	case EmulatorUnknown:
		return "unknown emulator"
	case EmulatorQEMUTraditional:
		return "qemu-traditional"
	case EmulatorQEMU:
		return "qemu"
	}
	return fmt.Sprintf("emulator %d", uint32(e))
}

// MaxEmulatorStore and MaxEmulatorContext are how long the two records of an
// emulator may be. The formats have no limits; a context is read as it comes.
const (
	MaxEmulatorStore   = 1 << 20
	MaxEmulatorContext = 1 << 30
)

// KeyValue is a node of xenstore; Key is relative to the directory of the new
// guest's device model.
type KeyValue struct{ Key, Value string }

// EmulatorStore is an EMULATOR_XENSTORE_DATA record: nodes to write before the
// emulator starts.
type EmulatorStore struct {
	ID    EmulatorID
	Index uint32 // which of the guest's emulators; 0
	Nodes []KeyValue
}

// Type returns TypeEmulatorStore.
func (*EmulatorStore) Type() Type { return TypeEmulatorStore }

// decode takes s from the body of a record. Keys must stay below the directory
// they are relative to.
func (s *EmulatorStore) decode(b []byte) error {
	s.ID, s.Index = EmulatorID(binary.LittleEndian.Uint32(b)), binary.LittleEndian.Uint32(b[4:])
	if s.ID > EmulatorQEMU {
		return bad("emulator %d is unknown", uint32(s.ID))
	}
	for b = b[8:]; len(b) > 0; {
		var kv KeyValue
		var ok bool
		if kv.Key, b, ok = cutString(b); ok {
			kv.Value, b, ok = cutString(b)
		}
		if !ok {
			return bad("node %d has no end or no value", len(s.Nodes))
		}
		if err := kv.check(); err != nil {
			return err
		}
		s.Nodes = append(s.Nodes, kv)
	}
	return nil
}

func cutString(b []byte) (s string, rest []byte, ok bool) {
	i := bytes.IndexByte(b, 0)
	if i < 0 {
		return "", nil, false
	}
	return string(b[:i]), b[i+1:], true
}

func (kv KeyValue) check() error {
	if err := wire.CheckPath(kv.Key); err != nil {
		return bad("%v", err)
	}
	if kv.Key[0] == '/' || kv.Key[0] == '@' {
		return bad("key %q is not relative", kv.Key)
	}
	if len(kv.Value) > wire.MaxPayload {
		return bad("key %q has a value of %d bytes, at most %d", kv.Key, len(kv.Value), wire.MaxPayload)
	}
	if strings.IndexByte(kv.Value, 0) >= 0 {
		return bad("key %q: there is a NUL in its value", kv.Key)
	}
	return nil
}

func (s *EmulatorStore) append(b []byte) ([]byte, error) {
	if s.ID > EmulatorQEMU {
		return b, bad("emulator %d is unknown", uint32(s.ID))
	}
	b = append32(b, uint32(s.ID), s.Index)
	for _, kv := range s.Nodes {
		if err := kv.check(); err != nil {
			return b, err
		}
		b = append(append(append(append(b, kv.Key...), 0), kv.Value...), 0)
	}
	return b, nil
}

// EmulatorContext is an EMULATOR_CONTEXT record: the state of an emulator.
type EmulatorContext struct {
	ID    EmulatorID
	Index uint32
	Size  uint32 // of Data, bytes
	// Data gives the state. From a Reader it is good until the next call of Next,
	// which passes over what was not read; a Writer takes Size bytes from it.
	Data io.Reader
}

// Type returns TypeEmulatorContext.
func (*EmulatorContext) Type() Type { return TypeEmulatorContext }

// CheckpointState is a CHECKPOINT_STATE record, with which both sides of COLO
// keep in step.
type CheckpointState uint32

// The states. Source: libxl_sr_stream_format.h, CHECKPOINT_*.
const (
	CheckpointNew       CheckpointState = 0 // primary to secondary: begin a checkpoint
	CheckpointSuspended CheckpointState = 1 // the other three: secondary to primary
	CheckpointReady     CheckpointState = 2
	CheckpointResumed   CheckpointState = 3
)

// Type returns TypeCheckpointState.
func (CheckpointState) Type() Type { return TypeCheckpointState }

func (s CheckpointState) check() error {
	if s > CheckpointResumed {
		return bad("state %d is unknown", uint32(s))
	}
	return nil
}

// Optional is a record that this package does not know and that its sender marked
// as one to pass over.
type Optional struct {
	Kind Type
	Size uint32    // of Data, bytes
	Data io.Reader // as in EmulatorContext
}

// Type returns what the stream calls it.
func (o *Optional) Type() Type { return o.Kind }
