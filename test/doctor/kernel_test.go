package doctor

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"replypath/test/box"
	"replypath/test/house"
	"replypath/test/world"

	"golang.org/x/sys/unix"
)

// kernelOption is what the kernel must be built with, and what for.
type kernelOption struct {
	name, purpose string
	user          string // what needs it: forAll, forProofs, forIptables, ...
}

// kernelOptions returns those that the doctor looks for.
func kernelOptions(t *testing.T) (all []kernelOption) {
	t.Helper()
	text := house.Text(t, "cmd/internal/doctor")
	for _, m := range regexp.MustCompile(`\{"(CONFIG_[A-Z0-9_]+)", "(.+)", (for[A-Za-z]+)\}`).FindAllStringSubmatch(text, -1) {
		all = append(all, kernelOption{m[1], m[2], m[3]})
	}
	if len(all) < 10 {
		t.Fatalf("%d options", len(all))
	}
	return all
}

// A kernel's configuration has "is not set" for a disabled option, and no line for options that depend on it.
func TestDoctorReportsMissingKernelOptions(t *testing.T) {
	t.Parallel()
	const returning, proxies = "[intercept]\nreturn = true\n", "[intercept.web]\nfrom = \"uplinks\"\nports = 80\nproxy = 50080\n"
	for name, c := range map[string]struct {
		backend, settings string
		asked             string   // the names of the users whose options are looked at have it
		used              []string // those of the users that the host has
	}{
		"iptables":             {box.Backends[0], "", "for", []string{"forAll", "forProofs", "forIptables"}},
		"nftables":             {box.Nftables, "", "for", []string{"forAll", "forProofs", "forNftables"}},
		"way back by iptables": {box.Backends[0], returning, "By", []string{"forInterceptionByIptables"}},
		"proxies by iptables":  {box.Backends[0], proxies, "By", []string{"forInterceptionByIptables", "forProxiesByIptables"}},
		"proxies by nftables":  {box.Nftables, proxies, "By", []string{"forInterceptionByNftables", "forProxiesByNftables"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			reportMissingKernelOptions(t, box.New(t, box.Conditions{RPFilter: 1}.Build(t, 2, world.Options{}), c.backend, c.settings), c.asked, c.used)
		})
	}
}

// reportMissingKernelOptions wants a finding for every option of the users that the host has, and for no other one. The names of
// the users that are looked at have asked.
func reportMissingKernelOptions(t *testing.T, b *box.Box, asked string, used []string) {
	t.Helper()
	b.Apply()
	var release unix.Utsname
	if err := unix.Uname(&release); err != nil {
		t.Fatal(err)
	}
	needed := kernelOptions(t)
	name := unix.ByteSliceToString(release.Release[:])
	configured := func(path string, lines map[string]string) box.DoctorReport {
		var text strings.Builder
		fmt.Fprintln(&text, "#\n# Automatically generated file; DO NOT EDIT.\n#\nCONFIG_CC_VERSION_TEXT=\"gcc\"\n# CONFIG_WIREGUARD is not set")
		for _, o := range needed {
			line, other := lines[o.name]
			if !other {
				line = o.name + "=m"
			}
			fmt.Fprintln(&text, line)
		}
		if err := os.RemoveAll(b.Root()); err != nil {
			t.Fatal(err)
		}
		b.WriteRootFile(path, text.String())
		return b.RunDoctor()
	}
	boot := "/boot/config-" + name
	healthy := configured(boot, nil)
	if len(healthy.Of("kernel-option")) > 0 {
		t.Fatalf("everything is set: %s", healthy)
	}
	for _, o := range needed {
		for _, line := range []string{"# " + o.name + " is not set", ""} {
			if !strings.Contains(o.user, asked) {
				continue
			}
			if !slices.Contains(used, o.user) {
				wantNewFindings(b, healthy, configured(boot, map[string]string{o.name: line}))
				break
			}
			more := wantNewFindings(b, healthy, configured(boot, map[string]string{o.name: line}), "kernel-option")
			want := findingCase{severity: box.IsError, evidence: []string{o.name + " is not set"}, words: []string{o.purpose}, remedy: "use a kernel with that option"}
			if o.user == "forProofs" {
				want.severity = box.IsNote
			}
			for _, f := range more {
				want.check(t, f)
			}
		}
	}
	wantNewFindings(b, healthy, configured("/lib/modules/"+name+"/config", map[string]string{"CONFIG_NF_CONNTRACK": ""}), "kernel-option")
	b.WriteRootFile(boot, "")
	if d := b.RunDoctor(); len(d.Of("kernel-option")) > 0 {
		t.Errorf("an empty file proves nothing: %s", d)
	}
}

// The machine's own, which all of these tests run on, has all that is needed.
func TestDoctorReadsTheRunningKernelsConfiguration(t *testing.T) {
	t.Parallel()
	b := box.New(t, box.Conditions{RPFilter: 1}.Build(t, 2, world.Options{}))
	b.Apply()
	if d := b.RunDoctor(func(args ...string) box.Result { return b.Run("doctor", "--json") }); len(d.Of("kernel-option")) > 0 {
		t.Errorf("it has: %s", d)
	}
}

func TestDoctorReportsUplinksWithoutProbes(t *testing.T) {
	t.Parallel()
	b := box.New(t, box.Conditions{RPFilter: 1}.Build(t, 2, world.Options{}))
	b.Apply()
	for n, c := range []struct{ subject, remedy string }{{"each of the uplinks isp0, isp1", "UPLINK"}, {"uplink isp1", "isp1"}} {
		want := findingCase{severity: box.IsNote, words: []string{c.subject + " has no probe: only its gateway is probed, which says nothing about the Internet behind it"},
			remedy: fmt.Sprintf(`add [uplinks.%s.probes.NAME] with target = "icmp://HOST"`, c.remedy)}
		found := b.RunDoctor().Of("probes")
		if len(found) != 1 {
			t.Fatalf("%d findings, want 1: %+v", len(found), found)
		}
		want.check(t, found[0])
		text, err := os.ReadFile(b.Config)
		if err != nil {
			t.Fatal(err)
		}
		b.Write(fmt.Sprintf("%s[uplinks.isp%d.probes.client]\ntarget = \"icmp://203.0.113.10\"\n[uplinks.isp%[2]d.probes.client6]\ntarget = \"icmp://[2001:db8:c::10]\"\n", text, n))
	}
	if d := b.RunDoctor(); len(d.Findings) > 0 {
		t.Errorf("nothing is left to be said: %s", d)
	}
}
