package main

import (
	"fmt"
	"os"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// machine describes the machine of the figures, as far as it matters to ratios.
func machine() string {
	var name unix.Utsname
	must(unix.Uname(&name), "read the kernel's name")
	var info unix.Sysinfo_t
	must(unix.Sysinfo(&info), "read the memory's size")
	release, _, _ := strings.Cut(unix.ByteSliceToString(name.Release[:]), "-")
	return fmt.Sprintf("Linux %s, %s, %d cores, %d GiB of memory, %s",
		release, runtime.GOARCH, runtime.NumCPU(), (info.Totalram*uint64(info.Unit)+1<<29)>>30, virtual())
}

// virtual reports whether the machine is one, by the flags of the processor.
func virtual() string {
	text, err := os.ReadFile("/proc/cpuinfo")
	must(err, "read /proc/cpuinfo")
	for line := range strings.Lines(string(text)) {
		if name, flags, _ := strings.Cut(line, ":"); strings.TrimSpace(name) == "flags" && strings.Contains(flags+" ", " hypervisor ") {
			return "virtual"
		}
	}
	return "as far as known not virtual"
}
