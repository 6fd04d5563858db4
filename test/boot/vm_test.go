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

// vm is a whole machine, with a kernel of its own. Its wires end in a host of a world.
type vm struct {
	t       *testing.T
	host    *world.Host
	wires   []string
	kernel  string
	initrd  string // empty: none
	cpus    string
	drive   string
	console string
	qemu    *world.Command
	boots   int
}

// vmTime is enough for a boot without KVM on a machine that others use as well.
const vmTime = 30 * time.Minute

// wholeDisk returns a disk with a kernel of its own.
func wholeDisk(t *testing.T) *disk { return diskOf(t, image+"-kernel") }

// reports makes a machine run a script at the end of its boot, with its output on the console.
func (d *disk) reports(script string) {
	d.t.Helper()
	d.Write("/root/report", script)
	d.Write("/etc/systemd/system/report.service", "[Unit]\nDescription=How the boot ended\n[Service]\nExecStart=/bin/sh /root/report\n"+
		"StandardOutput=tty\nTTYPath=/dev/ttyS0\n[Install]\nWantedBy=multi-user.target\n")
	d.Must("systemctl", "enable", "--quiet", "report.service")
	d.Must("systemctl", "mask", "--quiet", "serial-getty@ttyS0.service") // it would cut the report off
}

// newVM returns a machine with that disk, which is switched off.
func newVM(t *testing.T, d *disk, host *world.Host, wires ...string) *vm {
	t.Helper()
	d.Write("/etc/fstab", "/dev/nvme0n1 / ext4 defaults 0 1\n")
	kernels, err := filepath.Glob(d.Root + "/boot/vmlinuz-*")
	if err != nil || len(kernels) == 0 {
		t.Fatalf("no kernel in %s/boot: %v", d.Root, err)
	}
	m := &vm{t: t, host: host, wires: wires, kernel: kernels[0], cpus: "2", drive: filepath.Join(filepath.Dir(d.Root), "drive")}
	if found, _ := filepath.Glob(d.Root + "/boot/initrd.img-*"); len(found) > 0 {
		m.initrd = found[0]
	}
	if out, err := exec.Command("mke2fs", "-q", "-t", "ext4", "-d", d.Root, m.drive, "1500M").CombinedOutput(); err != nil {
		t.Fatalf("make the drive: %v\n%s", err, out)
	}
	return m
}

// power switches the machine on, again when the emulated kernel stands still before systemd runs, which qemu's does
// once in many boots.
func (m *vm) power() {
	m.t.Helper()
	for range 3 {
		m.boots++
		m.console = fmt.Sprintf("%s.console.%d", m.drive, m.boots)
		// Newer models are not emulated well: units then fail to get their namespaces.
		args := []string{"-machine", "q35,usb=off", "-cpu", "Nehalem", "-accel", "tcg,thread=multi,tb-size=256", "-smp", m.cpus, "-m", "1536",
			"-nodefaults", "-no-user-config", "-display", "none", "-vga", "none", "-serial", "file:" + m.console, "-kernel", m.kernel,
			"-append", "console=ttyS0 root=/dev/nvme0n1 rw mitigations=off systemd.log_color=0 net.ifnames=0",
			"-drive", "file=" + m.drive + ",if=none,id=d0,format=raw", "-device", "nvme,drive=d0,serial=root"}
		if m.initrd != "" {
			args = append(args, "-initrd", m.initrd)
		}
		for i, name := range m.wires {
			args = append(args, "-netdev", fmt.Sprintf("tap,id=n%d,ifname=tap-%s,script=no,downscript=no", i, name),
				"-device", fmt.Sprintf("virtio-net-pci,netdev=n%d,mac=02:00:00:00:77:0%d,romfile=", i, i))
		}
		m.qemu = m.host.Command(m.t.Context(), "qemu-system-x86_64", args...)
		m.qemu.Stdout, m.qemu.Stderr = os.Stderr, os.Stderr
		if err := m.qemu.Start(); err != nil {
			m.t.Fatal(err)
		}
		if m.awaitConsole("Welcome to", 5*time.Minute) {
			return
		}
		m.t.Logf("the kernel stands still:\n%s", m.consoleOutput())
		m.cut()
	}
	m.t.Fatal("the kernel stood still three times")
}

// cut cuts the power.
func (m *vm) cut() {
	m.qemu.Process.Kill()
	m.qemu.Wait()
}

func (m *vm) wantConsole(want string) {
	m.t.Helper()
	if !m.awaitConsole(want, vmTime) {
		m.t.Errorf("it does not say %q; the console:\n%s", want, m.consoleOutput())
	}
}

func (m *vm) awaitConsole(want string, patience time.Duration) bool {
	for late := time.Now().Add(patience); time.Now().Before(late); time.Sleep(200 * time.Millisecond) {
		text, _ := os.ReadFile(m.console)
		if found := strings.Contains(string(text), want); found || strings.Contains(string(text), "Kernel panic") {
			return found
		}
	}
	return false
}

// consoleOutput returns the end of the console's output.
func (m *vm) consoleOutput() string {
	text, _ := os.ReadFile(m.console)
	return string(text[max(0, len(text)-4000):])
}
