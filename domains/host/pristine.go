package host

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"path/filepath"
	"regexp"
	"slices"
)

// Behaviour is what a hotplug script is known to do, so that we may do it
// ourselves instead of running it.
type Behaviour struct {
	// Block: the script is Xen's block.
	Block bool
	// Bridge: the script is Xen's vif-bridge as Debian ships it, which leaves
	// the packet filter alone.
	Bridge bool
	// FrontendMTU: vif-bridge tells the guest the MTU it set. Since Xen 4.15.
	FrontendMTU bool
}

// knownScripts are the contents that we can stand in for, by SHA-256, with the
// files they read in turn. Only a byte for byte equal set counts: then the code
// that would run is the code that was read when our own was written, so nobody's
// change is lost. Everything else is run. A package manager's checksum would say
// that the administrator changed nothing, but not what the files do.
var knownScripts = []struct {
	main  string
	files map[string][]string // name, hashes
	what  Behaviour
}{
	{
		main: "block",
		files: map[string][]string{
			"block": {"2bcb11f9041fceceddccc9e07314ea60a8505e185f54d7c7d77b5a37b9936e26"}, // 4.14 to 4.20
			"block-common.sh": {
				"c6e0a4b027575a136c93ee74a78382b2f6d8e3ce7840d60c4c9d3d09aafe2b31", // 4.14
				"b478cff89cbf00b492015885d6962f28962b077d7e4a639c11de0cc14d108eb1", // 4.17, 4.20
			},
		},
		what: Behaviour{Block: true},
	},
	{
		main: "vif-bridge",
		files: map[string][]string{
			"vif-bridge":            {"82529bd2e11e9d49d76b0570314b45ec99605b9bacf7eff4380efe435f773ad6"}, // 4.17, 4.20
			"vif-common.sh":         {"2ab11fa10f4817f5838b08175a6e529fab97cb5caad756988e14aee9c0230459"}, // Debian
			"xen-network-common.sh": {"ec81a4c006292601b6dfa3103a7794bc2442d8d2504fc2bb2e4bc63af03c1e72"}, // 4.17, 4.20
		},
		what: Behaviour{Bridge: true, FrontendMTU: true},
	},
	{
		main: "vif-bridge",
		files: map[string][]string{
			"vif-bridge":            {"fe8b66b8a358f90ba23ef02cbeeba6292aca0bb413d6a1113137dc4896f5ce3b"}, // 4.14
			"vif-common.sh":         {"2ab11fa10f4817f5838b08175a6e529fab97cb5caad756988e14aee9c0230459"}, // Debian
			"xen-network-common.sh": {"3d501ea499ea8e1899b4c7f24442dd7929dcc5ba7756bd24e745b7ea6c533bc3"}, // 4.14
		},
		what: Behaviour{Bridge: true},
	},
}

// commonScripts are read by both, with their known contents.
var commonScripts = map[string][]string{
	"xen-hotplug-common.sh": {"d52cdbf3649222a64bdd842fbdcd0ec0302caa6737d9274490cdd295cbd3f1f3"}, // Debian's paths
	"locking.sh":            {"6cc8c1fae81bf1cded7bef07256b9518ffaa40eff32d8bbbf05e21a8392b1be1"},
	"logging.sh":            {"60bf8d530962dcd390864effca6489772ef0cb9e91c3390ff5cfff7693ef04ca"},
	"xen-script-common.sh":  {"111773d49072538273b334e8cd04b181adfb2096c96b2603e98b8ab7d9d32af9"},
}

// Known reports what the script at path does when its content, that of the
// files it reads, and the absence of hooks leave no doubt. ok is false when it
// has to be run.
func (h *Host) Known(path string) (what Behaviour, ok bool) {
	if what, ok := h.trusted[path]; ok {
		return what, true
	}
	for _, k := range knownScripts {
		if filepath.Base(path) == k.main && h.same(filepath.Dir(path), k.files) {
			return k.what, h.same(filepath.Dir(path), commonScripts) &&
				h.onlyAssigns(filepath.Join(filepath.Dir(path), "hotplugpath.sh")) &&
				!(k.what.Bridge && h.hasHooks("vif-post.d"))
		}
	}
	return Behaviour{}, false
}

// Trust declares that the script at path does what, whatever it holds, and whether
// or not it exists. It must come before h is used.
func (h *Host) Trust(path string, what Behaviour) {
	if h.trusted == nil {
		h.trusted = map[string]Behaviour{}
	}
	h.trusted[path] = what
}

// same reports whether each file in dir has one of its known contents.
func (h *Host) same(dir string, files map[string][]string) bool {
	for name, hashes := range files {
		b, err := h.ReadFile(filepath.Join(dir, name))
		sum := sha256.Sum256(b)
		if err != nil || !slices.Contains(hashes, hex.EncodeToString(sum[:])) {
			return false
		}
	}
	return true
}

// hasHooks reports whether an administrator put hooks there for scripts to run.
func (h *Host) hasHooks(dir string) bool {
	hooks, err := h.Glob(filepath.Join(h.Scripts, dir, "*.hook"))
	return err != nil || len(hooks) > 0
}

const assignment = `^[A-Za-z_]+="[A-Za-z0-9/._+-]*"$`

// onlyAssigns reports whether a file, which each build writes anew, does nothing
// but set variables to plain paths.
func (h *Host) onlyAssigns(path string) bool {
	b, err := h.ReadFile(path)
	if err != nil {
		return false
	}
	form := regexp.MustCompile(assignment)
	for s := bufio.NewScanner(bytes.NewReader(b)); s.Scan(); {
		line := bytes.TrimSpace(s.Bytes())
		if len(line) > 0 && line[0] != '#' && !form.Match(line) {
			return false
		}
	}
	return true
}
