package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"replypath/test/layer"
	"replypath/test/world"
)

// emulator boots a Debian in qemu, whose clock counts the instructions of the only processor: a figure does not depend on what else
// the real machine does.
type emulator struct {
	image string // the file of the kernel
	drive string

	mu     sync.Mutex
	kernel string // its release, known after the first count
	counts *packets
}

// Where a machine has the programs.
const (
	vmBench   = "/bench/bench"
	vmProgram = "/bench/replypath"
)

// vmTime bounds the time of one machine. Building the gateways takes most of it.
const vmTime = 2 * time.Hour

// newEmulator makes the drive: the image with the programs. The figures of all counts are added to the packets.
func newEmulator(tb world.TB, image string, counts *packets) *emulator {
	l := layer.Over(tb, image)
	own, err := os.Executable()
	must(err, "find this program")
	for at, from := range map[string]string{vmBench: own, vmProgram: measured} {
		text, err := os.ReadFile(from)
		must(err, "read %s", from)
		l.Write(at, string(text))
		must(os.Chmod(filepath.Join(l.Root, at), 0o755), "make %s executable", at)
	}
	kernels, err := filepath.Glob(l.Root + "/boot/vmlinuz-*")
	if err != nil || len(kernels) == 0 {
		fatal("no kernel in %s/boot: %v", image, err)
	}
	e := &emulator{counts: counts, image: kernels[0], drive: filepath.Join(filepath.Dir(l.Root), "drive")}
	out, err := exec.Command("mke2fs", "-q", "-t", "ext4", "-O", "^has_journal", "-d", l.Root, e.drive, "2G").CombinedOutput()
	must(err, "make the drive: %s", out)
	return e
}

// arguments returns those of qemu. An instruction takes 2 ns of the clock (shift=1), which does not wait for the real one.
func (e *emulator) arguments(args ...string) []string {
	return []string{"-machine", "q35,usb=off", "-cpu", "Nehalem", "-accel", "tcg,thread=single,tb-size=256", "-icount", "shift=1,align=off,sleep=off",
		"-smp", "1", "-m", "3000", "-nodefaults", "-no-user-config", "-display", "none", "-vga", "none", "-serial", "stdio", "-no-reboot",
		"-kernel", e.image,
		"-append", "console=ttyS0 root=/dev/nvme0n1 rw mitigations=off net.ifnames=0 quiet loglevel=1 panic=-1 init=" + vmBench + " -- " + strings.Join(args, " "),
		"-drive", "file=" + e.drive + ",if=none,id=d0,format=raw,snapshot=on", "-device", "nvme,drive=d0,serial=root"}
}

// count boots a machine that measures packets with that many uplinks, and adds their figures. Safe for concurrent use.
func (e *emulator) count(ctx context.Context, uplinks int) {
	ctx, cancel := context.WithTimeout(ctx, vmTime)
	defer cancel()
	c := exec.CommandContext(ctx, "qemu-system-x86_64", e.arguments("-vm", "-replypath", vmProgram, "-figures", "-uplinks", fmt.Sprint(uplinks))...)
	c.Stderr = os.Stderr
	console, err := c.StdoutPipe()
	must(err, "read the console")
	must(c.Start(), "start qemu")
	ended := ""
	for lines := bufio.NewScanner(console); lines.Scan(); {
		switch line := strings.TrimSpace(lines.Text()); {
		case strings.HasPrefix(line, figureMark):
			e.add(strings.TrimPrefix(line, figureMark))
		case strings.HasPrefix(line, endMark):
			ended = line
		default:
			fmt.Fprintf(os.Stderr, "        the machine with %d uplinks: %s\n", uplinks, line)
		}
	}
	must(c.Wait(), "run qemu for %d uplinks", uplinks)
	if ended != endMark+"<nil>" {
		fatal("the machine with %d uplinks did not measure all: %s", uplinks, ended)
	}
}

// add adds the figure of a line.
func (e *emulator) add(line string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	var f figure
	must(json.Unmarshal([]byte(line), &f), "read the figure %s", line)
	if f.Kernel != "" {
		e.kernel = f.Kernel
		return
	}
	e.counts.cost[packetKey{f.Path, alone, 2, f.Family}] = sample{0} // each machine has subtracted its own
	e.counts.cost[packetKey{f.Path, f.Variant, f.Uplinks, f.Family}] = f.Cost
}
