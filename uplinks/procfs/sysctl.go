// Package procfs carries sysctls between package uplinks and the kernel. It is the only writer of /proc/sys.
package procfs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"replypath/uplinks"

	"golang.org/x/sys/unix"
)

// Both follow the network namespace of the thread that opens them.
const (
	sysctlDir = "/proc/sys"
	ifInet6   = "/proc/thread-self/net/if_inet6"
)

// IPv6 reports whether the kernel speaks it.
func IPv6() bool {
	_, err := os.Stat(ifInet6)
	return err == nil
}

// ReadIPv6 fills in on which links IPv6 is switched off. It needs the facts' links.
func ReadIPv6(facts *uplinks.Facts) {
	for name, l := range facts.Links {
		value, err := readValue("net/ipv6/conf/" + name + "/disable_ipv6")
		l.NoIPv6 = err != nil || value != "0"
		facts.Links[name] = l
	}
}

// Read fills in the sysctls that we may set: when the facts are of some shares only, those of their links. It needs the
// facts' links.
func Read(facts uplinks.Facts, have *uplinks.State) error {
	for _, t := range uplinks.Sysctls(facts) {
		value, err := readValue(t.Path())
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("read sysctl %s: %w", t, err)
		}
		have.Tunables[t] = value
	}
	return nil
}

// readValue reads a sysctl. Each round reads two for each link, and os.ReadFile takes three times as long.
func readValue(path string) (string, error) {
	var buffer [64]byte
	file, err := unix.Open(sysctlDir+"/"+path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", err
	}
	defer unix.Close(file)
	n, err := unix.Read(file, buffer[:])
	if err != nil {
		return "", err
	}
	return strings.TrimSpace(string(buffer[:n])), nil
}

// Write gives a sysctl a value.
func Write(t uplinks.Tunable, value string) error {
	f, err := os.OpenFile(filepath.Join(sysctlDir, t.Path()), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(value)
	return errors.Join(err, f.Close())
}

// Values reads sysctls. Those that the kernel does not have are left out.
func Values(all []uplinks.Tunable) map[uplinks.Tunable]string {
	values := make(map[uplinks.Tunable]string, len(all))
	for _, t := range all {
		if value, err := readValue(t.Path()); err == nil {
			values[t] = value
		}
	}
	return values
}

// OwnCommand is this process's name, as the kernel tells it to others (proc(5), comm); empty when it cannot be read.
func OwnCommand() string {
	name, err := os.ReadFile("/proc/self/comm")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(name))
}
