//go:build boot

package boot

// initProgram is what runs as a machine's first process.
type initProgram struct {
	name  string
	start []string // arguments of systemd-nspawn
	log   []string // prints the service's log
}

var (
	systemd = initProgram{"systemd", []string{"--boot", "systemd.show_status=1", "systemd.log_color=0"},
		[]string{"journalctl", "--no-pager", "--boot", "--lines=60", "--output=short-precise", "--unit=replypath"}}
	openrc = initProgram{"openrc-init", []string{"/sbin/openrc-init"}, []string{"tail", "--lines=60", "/var/log/replypath.log"}}
)
