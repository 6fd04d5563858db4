package survey

import (
	"bufio"
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"replypath/cmd/internal/doctor"
	"replypath/cmd/internal/namespace"
	"replypath/cmd/internal/systemd"
	"replypath/marks"

	"golang.org/x/sys/unix"
)

// readFiles looks at what is set up for the next boot, and for programs that delete what is not theirs.
func (c *collector) readFiles() {
	c.result.SavedRulesets = c.savedRules()
	if own, err := namespace.IsInitial(); c.Root != "/" || err == nil && own {
		c.result.Networkd = readNetworkd(c.Root)
	}
	c.result.MissingOptions = c.missingKernelOptions()
}

// savedRuleFiles are where saved rules lie, and which unit loads them at boot.
var savedRuleFiles = []struct {
	pattern string
	units   []string
	native  bool
}{
	{"/etc/nftables.conf", []string{"nftables.service"}, true},
	{"/etc/sysconfig/nftables.conf", []string{"nftables.service"}, true},
	{"/etc/nftables/*", []string{"nftables.service"}, true},
	{"/etc/nftables.d/*", []string{"nftables.service"}, true},
	{"/etc/iptables/*rules*", []string{"netfilter-persistent.service", "iptables.service", "ip6tables.service"}, false},
	{"/etc/sysconfig/ip*tables", []string{"iptables.service", "ip6tables.service"}, false},
}

func (c *collector) savedRules() (all []doctor.SavedRuleset) {
	for _, s := range savedRuleFiles {
		paths, _ := filepath.Glob(filepath.Join(c.Root, s.pattern))
		for _, path := range paths {
			lines, err := linesOfOurs(path, s.native)
			if err != nil {
				c.attempt(path, func() error { return err })
			}
			if len(lines) > 0 {
				boot := slices.ContainsFunc(s.units, func(unit string) bool { return bootLink(c.Root, unit) != "" })
				all = append(all, doctor.SavedRuleset{Path: pathBelow(c.Root, path), Lines: lines, AtBoot: boot, ByNFT: s.native})
			}
		}
	}
	return all
}

// linesOfOurs are the lines of a file of rules with what is ours, or what nft(8) makes of it.
func linesOfOurs(path string, native bool) (lines []string, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	n := 0
	for line := range strings.Lines(string(text)) {
		n++
		line = strings.TrimSpace(line)
		overwrites := strings.Contains(line, "ct mark set ct mark") || strings.HasSuffix(line, "meta mark set ct mark")
		if strings.HasPrefix(line, "#") || !strings.Contains(line, marks.Prefix) && !(native && overwrites) {
			continue
		}
		lines = append(lines, fmt.Sprintf("%d: %s", n, line))
	}
	return lines, nil
}

// bootLink is the link by which systemd starts the unit at boot; empty: it does not.
func bootLink(root, unit string) string {
	links, _ := filepath.Glob(filepath.Join(root, "/etc/systemd/system/*.wants", unit))
	if len(links) == 0 {
		return ""
	}
	return pathBelow(root, links[0])
}

// pathBelow is the path as it is below the root.
func pathBelow(root, path string) string {
	relative, err := filepath.Rel(root, path)
	if err != nil {
		return path
	}
	return "/" + relative
}

var systemdFolders = []string{"/usr/lib/systemd", "/usr/local/lib/systemd", "/run/systemd", "/etc/systemd"}

// readNetworkd reads whether systemd-networkd is used, and what it is told of what is not its own (networkd.conf(5)).
func readNetworkd(root string) (n doctor.Networkd) {
	const unit = "systemd-networkd.service"
	if some, _ := os.ReadDir(filepath.Join(root, "/run/systemd/netif/links")); len(some) > 0 {
		n.Active, n.Evidence = true, "it runs: /run/systemd/netif/links"
	} else if link := bootLink(root, unit); link != "" {
		n.Active, n.Evidence = true, "it starts at boot: "+link
	}
	var folders []string
	for _, folder := range systemdFolders {
		folders = append(folders, folder+"/networkd.conf.d")
	}
	var main []string
	for _, folder := range slices.Backward(systemdFolders) {
		if path := filepath.Join(folder, "networkd.conf"); main == nil && exists(filepath.Join(root, path)) {
			main = []string{path}
		}
	}
	values := map[string]string{}
	for _, path := range append(main, systemd.DropIns(root, folders, "*.conf")...) {
		text, _ := os.ReadFile(filepath.Join(root, path))
		for line := range strings.Lines(string(text)) {
			key, value, sets := strings.Cut(strings.TrimSpace(line), "=")
			if key = strings.TrimSpace(key); sets && strings.HasPrefix(key, "ManageForeign") {
				values[key] = strings.ToLower(strings.TrimSpace(value))
				n.Lines = append(n.Lines, path+": "+strings.TrimSpace(line))
			}
		}
	}
	refused := func(key string) bool {
		return slices.Contains([]string{"no", "false", "0", "off", "n", "f"}, values[key])
	}
	n.KeepsForeign = refused("ManageForeignRoutingPolicyRules") && refused("ManageForeignRoutes")
	return n
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// missingKernelOptions are the options that the kernel's configuration says are not set, where it can be read.
func (c *collector) missingKernelOptions() (names []string) {
	var system unix.Utsname
	if err := unix.Uname(&system); err != nil {
		return nil
	}
	release := unix.ByteSliceToString(system.Release[:])
	paths := []string{filepath.Join(c.Root, "/boot/config-"+release), filepath.Join(c.Root, "/lib/modules", release, "config")}
	if c.Root == "/" {
		paths = append(paths, "/proc/config.gz")
	}
	at := slices.IndexFunc(paths, exists)
	if at < 0 {
		return nil
	}
	f, err := os.Open(paths[at])
	if err != nil {
		return nil
	}
	defer f.Close()
	var r io.Reader = f
	if strings.HasSuffix(paths[at], ".gz") {
		if r, err = gzip.NewReader(f); err != nil {
			return nil
		}
	}
	return unsetOptions(r)
}

// unsetOptions are the options that such a configuration does not set. One that hangs on another that is not set is not even
// named; a text without any option tells nothing.
func unsetOptions(config io.Reader) (names []string) {
	set := map[string]bool{}
	for lines := bufio.NewScanner(config); lines.Scan(); {
		if name, value, ok := strings.Cut(lines.Text(), "="); ok && strings.HasPrefix(name, "CONFIG_") {
			set[name] = value == "y" || value == "m"
		}
	}
	for _, o := range doctor.KernelOptions {
		if len(set) > 0 && !set[o.Name] {
			names = append(names, o.Name)
		}
	}
	return names
}
