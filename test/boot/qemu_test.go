//go:build boot && qemu

package boot

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"replypath/test/world"
)

// vm is a whole machine, with the kernel of its own, in whose place the world's gateway only joins the wires.
type vm struct {
	*world.Internet
	t       *testing.T
	drive   string
	console string
	qemu    *world.Command
	boots   int
}

// vmTime is enough for a boot without KVM on a machine that others use as well.
const vmTime = 10 * time.Minute

// The links of the machine, by the last number of their hardware address.
var wires = []string{"eth0", "eth1", "lan0"}

// report has the machine say on its console how the boot ended.
const report = `[Unit]
Description=How the boot ended
[Service]
ExecStart=/bin/sh -c 'echo "report: system $$(systemctl is-system-running --wait)"; sleep 5; replypath verify >/dev/null; echo "report: verify $$?"; replypath plan >/dev/null; echo "report: plan $$?"; echo "report: shown $$(replypath status | grep -c shown)"; uname -r'
StandardOutput=tty
TTYPath=/dev/ttyS0
[Install]
WantedBy=multi-user.target
`

// TestAWholeMachine boots a disk on which the package was installed offline, and cuts its power.
func TestAWholeMachine(t *testing.T) {
	image = image + "-kernel"
	d := newDisk(t)
	d.install(deb)
	d.networkd()
	d.uplinks(2)
	d.Write("/etc/systemd/network/lan0.network", "[Match]\nName=lan0\n[Network]\nAddress=198.18.0.1/24\nAddress=2001:db8:f::1/64\nIPv6AcceptRA=no\n")
	for i, name := range wires {
		d.Write("/etc/systemd/network/10-"+name+".link", fmt.Sprintf("[Match]\nMACAddress=02:00:00:00:77:0%d\n[Link]\nName=%s\n", i, name))
	}
	d.Write("/etc/systemd/system/report.service", report)
	d.Write("/etc/fstab", "/dev/nvme0n1 / ext4 defaults 0 1\n")
	d.Must("systemctl", "enable", "--quiet", "report.service")
	d.Must("systemctl", "mask", "--quiet", "serial-getty@ttyS0.service") // it would cut the report off
	m := &vm{Internet: fresh(t, d, 2), t: t, drive: filepath.Join(filepath.Dir(d.Root), "drive")}
	if out, err := exec.Command("mke2fs", "-q", "-t", "ext4", "-d", d.Root, m.drive, "1500M").CombinedOutput(); err != nil {
		t.Fatalf("make the drive: %v\n%s", err, out)
	}
	m.join()
	for _, cut := range []bool{false, true} {
		began := time.Now()
		m.power(d)
		m.answers()
		t.Logf("answered after %s", time.Since(began).Round(time.Second))
		for _, want := range []string{"system running", "verify 0", "plan 0", "shown 4"} {
			m.says("report: " + want)
		}
		t.Logf("power cut before: %t; reported after %s", cut, time.Since(began).Round(time.Second))
		m.qemu.Process.Kill()
		m.qemu.Wait()
	}
}

// join gives each wire a port for the machine, on a bridge in the world's gateway, which has no address any more.
func (m *vm) join() {
	m.t.Helper()
	for _, name := range wires {
		tap := "tap-" + name
		m.Gateway.Run("ip", "addr", "flush", "dev", name)
		m.Gateway.Run("ip", "tuntap", "add", tap, "mode", "tap")
		m.Gateway.Run("ip", "link", "add", "br-"+name, "type", "bridge", "mcast_snooping", "0")
		for _, port := range []string{name, tap} {
			m.Gateway.Run("ip", "link", "set", port, "master", "br-"+name, "up")
		}
		m.Gateway.Run("ip", "link", "set", "br-"+name, "up")
	}
}

// power switches the machine on, again when the emulated kernel stands still before systemd runs, which qemu's does
// once in many boots.
func (m *vm) power(d *disk) {
	m.t.Helper()
	kernels, _ := filepath.Glob(d.Root + "/boot/vmlinuz-*")
	for range 3 {
		m.boots++
		m.console = fmt.Sprintf("%s.console.%d", m.drive, m.boots)
		// Newer models are not emulated well: units then fail to get their namespaces.
		args := []string{"-machine", "q35,usb=off", "-cpu", "Nehalem", "-accel", "tcg,thread=multi,tb-size=256", "-smp", "2", "-m", "768",
			"-nodefaults", "-no-user-config", "-display", "none", "-vga", "none", "-serial", "file:" + m.console, "-kernel", kernels[0],
			"-append", "console=ttyS0 root=/dev/nvme0n1 rw mitigations=off systemd.log_color=0 net.ifnames=0",
			"-drive", "file=" + m.drive + ",if=none,id=d0,format=raw", "-device", "nvme,drive=d0,serial=root"}
		for i, name := range wires {
			args = append(args, "-netdev", fmt.Sprintf("tap,id=n%d,ifname=tap-%s,script=no,downscript=no", i, name),
				"-device", fmt.Sprintf("virtio-net-pci,netdev=n%d,mac=02:00:00:00:77:0%d,romfile=", i, i))
		}
		m.qemu = m.Gateway.Command(m.t.Context(), "qemu-system-x86_64", args...)
		m.qemu.Stdout, m.qemu.Stderr = os.Stderr, os.Stderr
		if err := m.qemu.Start(); err != nil {
			m.t.Fatal(err)
		}
		if m.hears("Welcome to", 2*time.Minute) {
			return
		}
		m.t.Logf("the kernel stands still:\n%s", m.heard())
		m.qemu.Process.Kill()
		m.qemu.Wait()
	}
	m.t.Fatal("the kernel stood still three times")
}

// answers waits until everything is answered by its uplink: pings, closed ports, and what is forwarded.
func (m *vm) answers() {
	m.t.Helper()
	var err error
	for late := time.Now().Add(vmTime); time.Now().Before(late); {
		if err = m.ask(); err == nil {
			return
		}
	}
	m.t.Fatalf("%v; the console:\n%s", err, m.heard())
}

func (m *vm) ask() error {
	for _, u := range m.Uplinks {
		for _, a := range u.Addrs() {
			for _, q := range []world.Question{{Kind: world.AskPing}, {Kind: world.AskClosedTCP}, {Kind: world.AskClosedUDP}, {Kind: world.AskTCP}} {
				q.Timeout, q.To = 3*time.Second, u.Port4(port)
				if a.Is6() {
					q.To = u.Port6(port)
				}
				if q.Kind == world.AskTCP {
					q.To = u.Port4(forwarded)
					if a.Is6() {
						q.To = u.Port6(forwarded)
					}
				}
				if answer := m.Client.Ask(q); !answer.OK {
					return fmt.Errorf("eth%d: %s to %s: %s", u.Index, q.Kind, q.To, answer)
				}
			}
		}
	}
	return nil
}

func (m *vm) says(what string) {
	m.t.Helper()
	if !m.hears(what, vmTime) {
		m.t.Errorf("it does not say %q; the console:\n%s", what, m.heard())
	}
}

func (m *vm) hears(what string, patience time.Duration) bool {
	for late := time.Now().Add(patience); time.Now().Before(late); time.Sleep(200 * time.Millisecond) {
		if text, _ := os.ReadFile(m.console); strings.Contains(string(text), what) {
			return true
		}
	}
	return false
}

// heard is the end of what the console said.
func (m *vm) heard() string {
	text, _ := os.ReadFile(m.console)
	return string(text[max(0, len(text)-4000):])
}
