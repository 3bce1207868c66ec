package config

// coloNames are the members of NICCOLO in libxl's order. Their settings in a vif
// have the same names, but for the first.
var coloNames = []string{
	"coloft_forwarddev",
	"colo_sock_mirror_id", "colo_sock_mirror_ip", "colo_sock_mirror_port",
	"colo_sock_compare_pri_in_id", "colo_sock_compare_pri_in_ip", "colo_sock_compare_pri_in_port",
	"colo_sock_compare_sec_in_id", "colo_sock_compare_sec_in_ip", "colo_sock_compare_sec_in_port",
	"colo_sock_compare_notify_id", "colo_sock_compare_notify_ip", "colo_sock_compare_notify_port",
	"colo_sock_redirector0_id", "colo_sock_redirector0_ip", "colo_sock_redirector0_port",
	"colo_sock_redirector1_id", "colo_sock_redirector1_ip", "colo_sock_redirector1_port",
	"colo_sock_redirector2_id", "colo_sock_redirector2_ip", "colo_sock_redirector2_port",
	"colo_filter_mirror_queue", "colo_filter_mirror_outdev",
	"colo_filter_redirector0_queue", "colo_filter_redirector0_indev", "colo_filter_redirector0_outdev",
	"colo_filter_redirector1_queue", "colo_filter_redirector1_indev", "colo_filter_redirector1_outdev",
	"colo_compare_pri_in", "colo_compare_sec_in", "colo_compare_out", "colo_compare_notify_dev",
	"colo_sock_sec_redirector0_id", "colo_sock_sec_redirector0_ip", "colo_sock_sec_redirector0_port",
	"colo_sock_sec_redirector1_id", "colo_sock_sec_redirector1_ip", "colo_sock_sec_redirector1_port",
	"colo_filter_sec_redirector0_queue", "colo_filter_sec_redirector0_indev", "colo_filter_sec_redirector0_outdev",
	"colo_filter_sec_redirector1_queue", "colo_filter_sec_redirector1_indev", "colo_filter_sec_redirector1_outdev",
	"colo_filter_sec_rewriter0_queue", "colo_checkpoint_host", "colo_checkpoint_port",
}

// coloMember returns the member that a setting of a vif is kept in.
func coloMember(key string) (string, bool) {
	if key == "forwarddev" {
		return coloNames[0], true
	}
	return key, key != coloNames[0] && indexOf(coloNames, key) >= 0
}
