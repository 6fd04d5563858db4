// Package procfs reads sysctls for package uplinks from the kernel, and writes them. It is the only writer of /proc/sys.
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

// Both show the network namespace of the thread that opens them.
const (
	sysctlDir = "/proc/sys"
	ifInet6   = "/proc/thread-self/net/if_inet6"
)

// IPv6 reports whether the kernel supports IPv6.
func IPv6() bool {
	_, err := os.Stat(ifInet6)
	return err == nil
}

// ReadIPv6 sets for each link in the facts whether IPv6 is disabled on it.
func ReadIPv6(facts *uplinks.Facts) {
	for name, l := range facts.Links {
		value, err := readValue("net/ipv6/conf/" + name + "/disable_ipv6")
		l.NoIPv6 = err != nil || value != "0"
		facts.Links[name] = l
	}
}

// Read reads the sysctls that replypath may set into have: of a partial read only those of its links. It needs the links in
// the facts.
func Read(facts uplinks.Facts, have *uplinks.State) error {
	return ReadSysctls(uplinks.Sysctls(facts), have)
}

// ReadSysctls reads these sysctls into have. Those that the kernel does not have are omitted.
func ReadSysctls(all []uplinks.Tunable, have *uplinks.State) error {
	for _, t := range all {
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

// readValue returns a sysctl by its path below /proc/sys. Each round reads two per link, and os.ReadFile takes three times
// as long.
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

// Write sets a sysctl.
func Write(t uplinks.Tunable, value string) error {
	f, err := os.OpenFile(filepath.Join(sysctlDir, t.Path()), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(value)
	return errors.Join(err, f.Close())
}

// Values returns sysctls by their names. Those that the kernel does not have are omitted.
func Values(all []uplinks.Tunable) map[uplinks.Tunable]string {
	values := make(map[uplinks.Tunable]string, len(all))
	for _, t := range all {
		if value, err := readValue(t.Path()); err == nil {
			values[t] = value
		}
	}
	return values
}

// OwnCommand returns the command name of this process (proc(5), comm), or "" when it cannot be read.
func OwnCommand() string {
	name, err := os.ReadFile("/proc/self/comm")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(name))
}
