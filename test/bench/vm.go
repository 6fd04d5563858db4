package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"

	"golang.org/x/sys/unix"
	"replypath/test/world"
)

// figure is a line by which a virtual machine reports what a packet costs beyond being injected, by rounds, or its kernel.
type figure struct {
	Kernel        string `json:",omitempty"`
	Path, Variant string
	Uplinks       int
	Family        family
	Cost          sample
}

// figureMark begins the lines of figures: its console has others too.
const figureMark = "figure "

// printFigures measures packets and prints what they cost.
func printFigures(r run) {
	print := func(f figure) {
		text, err := json.Marshal(f)
		must(err, "encode a figure")
		fmt.Println(figureMark + string(text))
	}
	var name unix.Utsname
	must(unix.Uname(&name), "read the kernel's name")
	measure := func(r run, all paths) {
		on(func(w *world.World) {
			p := newPackets(w, r, all)
			p.measure()
			for k := range p.cost {
				if k.variant != alone {
					print(figure{Path: k.path, Variant: k.variant, Uplinks: k.uplinks, Family: k.family, Cost: p.work(k.path, k.variant, k.uplinks, k.family)})
				}
			}
		})
	}
	measure(r, inboundPaths)
	measure(r.forOutbound(), outboundPaths)
	if slices.Contains(r.uplinks, foundUplinks) {
		measure(r.forFound(), foundPaths)
	}
	print(figure{Kernel: unix.ByteSliceToString(name.Release[:])})
}

// vmModules are modules that the kernel does not load by itself where a rule needs them.
var vmModules = []string{"veth", "nf_conntrack", "nf_flow_table_inet", "nft_flow_offload", "nft_ct", "nft_chain_nat", "nft_compat", "nft_masq", "xt_MASQUERADE", "iptable_nat", "ip6table_nat", "ip_tables", "ip6_tables", "iptable_mangle", "ip6table_mangle", "xt_connmark", "xt_mark", "xt_devgroup", "xt_conntrack", "xt_mac", "xt_bpf"}

// vmMounts are the file systems of a virtual machine.
var vmMounts = []struct{ kind, at string }{{"proc", "/proc"}, {"sysfs", "/sys"}, {"tmpfs", "/run"}, {"tmpfs", "/tmp"}}

// vmFiles is the limit of open files: each host of a world has some.
const vmFiles = 1 << 16

// runVM runs the bench again with the arguments, as the first process of an emulated machine, prints its exit status, and
// switches the machine off. It does not return.
func runVM(args []string) {
	err := prepareVM()
	if err == nil {
		c := exec.Command("/proc/self/exe", args...)
		c.Stdout, c.Stderr = os.Stdout, os.Stderr
		err = c.Run()
	}
	fmt.Printf("\n%s%v\n", endMark, err)
	unix.Sync()
	_ = unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
	select {}
}

// endMark begins the last line of a virtual machine; "<nil>" follows when all was measured.
const endMark = "the bench ended: "

func prepareVM() error {
	for _, m := range vmMounts {
		if err := unix.Mount(m.kind, m.at, m.kind, 0, ""); err != nil {
			return fmt.Errorf("mount %s: %w", m.at, err)
		}
	}
	limit := unix.Rlimit{Cur: vmFiles, Max: vmFiles}
	return errors.Join(
		os.Setenv("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"),
		os.Setenv("HOME", "/root"),
		unix.Setrlimit(unix.RLIMIT_NOFILE, &limit),
		exec.Command("modprobe", append([]string{"--all"}, vmModules...)...).Run(),
	)
}
