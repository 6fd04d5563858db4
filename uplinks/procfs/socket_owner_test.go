package procfs

import (
	"net"
	"os"
	"os/exec"
	"testing"

	"golang.org/x/sys/unix"
)

// A child has the sockets of its parent until it executes a program: it may be gone when it is asked about them.
func TestOwnerOfAnInheritedSocketIsTheOlderProcess(t *testing.T) {
	socket, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	file, err := socket.File()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var stat unix.Stat_t
	if err := unix.Fstat(int(file.Fd()), &stat); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		child := exec.CommandContext(t.Context(), "sleep", "1000")
		child.ExtraFiles = []*os.File{file}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		defer child.Wait()
		defer child.Process.Kill()
	}
	owners, _ := SocketOwners()
	if owner := owners[uint32(stat.Ino)]; owner.PID != os.Getpid() {
		t.Errorf("the owner is %+v, want this process, %d", owner, os.Getpid())
	}
}
