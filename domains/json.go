package domains

import "goxl/domains/config"

// ConfigJSON returns a configuration as libxl of the running release would store
// it.
func (m *Manager) ConfigJSON(s *config.Spec) []byte {
	v := m.xen.Version()
	return s.AppendJSON(nil, config.Release{Major: v.Major, Minor: v.Minor})
}
