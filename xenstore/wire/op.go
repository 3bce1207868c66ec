package wire

import "fmt"

// Op is the type of a packet (enum xsd_sockmsg_type).
type Op uint32

// The packet types. Number 20 was XS_RESTRICT, which Xen 4.9 removed.
const (
	OpControl          Op = 0  // XS_CONTROL, once XS_DEBUG
	OpDirectory        Op = 1  // XS_DIRECTORY
	OpRead             Op = 2  // XS_READ
	OpGetPerms         Op = 3  // XS_GET_PERMS
	OpWatch            Op = 4  // XS_WATCH
	OpUnwatch          Op = 5  // XS_UNWATCH
	OpTransactionStart Op = 6  // XS_TRANSACTION_START
	OpTransactionEnd   Op = 7  // XS_TRANSACTION_END
	OpIntroduce        Op = 8  // XS_INTRODUCE
	OpRelease          Op = 9  // XS_RELEASE
	OpGetDomainPath    Op = 10 // XS_GET_DOMAIN_PATH
	OpWrite            Op = 11 // XS_WRITE
	OpMkdir            Op = 12 // XS_MKDIR
	OpRm               Op = 13 // XS_RM
	OpSetPerms         Op = 14 // XS_SET_PERMS
	OpWatchEvent       Op = 15 // XS_WATCH_EVENT
	OpError            Op = 16 // XS_ERROR
	OpIsIntroduced     Op = 17 // XS_IS_DOMAIN_INTRODUCED
	OpResume           Op = 18 // XS_RESUME
	OpSetTarget        Op = 19 // XS_SET_TARGET
	OpResetWatches     Op = 21 // XS_RESET_WATCHES
	OpDirectoryPart    Op = 22 // XS_DIRECTORY_PART, Xen 4.9
	OpGetFeature       Op = 23 // XS_GET_FEATURE, Xen 4.22
	OpSetFeature       Op = 24 // XS_SET_FEATURE, Xen 4.22
	OpGetQuota         Op = 25 // XS_GET_QUOTA, Xen 4.22
	OpSetQuota         Op = 26 // XS_SET_QUOTA, Xen 4.22
)

var opNames = [...]string{
	"control", "list", "read", "get permissions", "watch", "unwatch",
	"start transaction", "end transaction", "introduce", "release",
	"get domain path", "write", "mkdir", "remove", "set permissions",
	"watch event", "error", "is introduced", "resume", "set target", "",
	"reset watches", "list part", "get feature", "set feature", "get quota",
	"set quota",
}

// String names the operation as an error message does.
func (op Op) String() string {
	if int(op) < len(opNames) && opNames[op] != "" {
		return opNames[op]
	}
	return fmt.Sprintf("operation %d", uint32(op))
}
