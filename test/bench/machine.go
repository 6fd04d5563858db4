package main

import (
	"fmt"
	"os"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// machine says what the figures are from, as far as it matters to ratios.
func machine() string {
	var name unix.Utsname
	must(unix.Uname(&name), "ask for the kernel")
	var info unix.Sysinfo_t
	must(unix.Sysinfo(&info), "ask for the memory")
	release, _, _ := strings.Cut(unix.ByteSliceToString(name.Release[:]), "-")
	return fmt.Sprintf("Linux %s, %s, %d cores, %d GiB of memory, %s",
		release, runtime.GOARCH, runtime.NumCPU(), (info.Totalram*uint64(info.Unit)+1<<29)>>30, virtual())
}

// virtual reports whether the machine is one, as the processor tells.
func virtual() string {
	text, err := os.ReadFile("/proc/cpuinfo")
	must(err, "ask for the processor")
	for line := range strings.Lines(string(text)) {
		if name, flags, _ := strings.Cut(line, ":"); strings.TrimSpace(name) == "flags" && strings.Contains(flags+" ", " hypervisor ") {
			return "virtual"
		}
	}
	return "as far as known not virtual"
}
