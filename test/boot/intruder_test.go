//go:build boot

package boot

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// targets is what an intruder has a go at.
type targets struct {
	Pid     int
	Sockets []string // names of unix sockets, with @ for what the file system does not know
	Files   []string // that no other user may write
	Secrets []string // that no other user may read
	URLs    []string // what may only be read
}

// intrude tries all that an ordinary user could, and gives what worked, a line each.
func (t targets) intrude() (done []string) {
	try := func(err error, attempt string, args ...any) {
		if err == nil {
			done = append(done, fmt.Sprintf(attempt, args...))
		}
	}
	for _, name := range t.Sockets {
		for _, kind := range []int{unix.SOCK_STREAM, unix.SOCK_DGRAM, unix.SOCK_SEQPACKET} {
			try(reach(name, kind), "reach the unix socket %s by type %d", name, kind)
		}
	}
	proc := fmt.Sprintf("/proc/%d/", t.Pid)
	for _, name := range []string{"mem", "environ", "maps", "auxv", "io", "stack", "syscall", "pagemap", "fd", "fdinfo", "ns", "map_files"} {
		try(read(proc+name), "read %s", proc+name)
	}
	for _, name := range []string{"mem", "comm", "oom_score_adj", "clear_refs", "coredump_filter"} {
		try(write(proc+name), "write %s", proc+name)
	}
	for _, name := range []string{"root", "cwd", "exe"} {
		_, err := os.Readlink(proc + name)
		try(err, "see %s", proc+name)
	}
	for _, signal := range []syscall.Signal{0, unix.SIGHUP, unix.SIGCONT, unix.SIGSTOP, unix.SIGKILL} {
		try(syscall.Kill(t.Pid, signal), "send signal %d", signal)
	}
	try(unix.PtraceSeize(t.Pid), "trace the process")
	for _, path := range t.Files {
		try(write(path), "write %s", path)
	}
	for _, path := range t.Secrets {
		try(read(path), "read %s", path)
	}
	for _, url := range t.URLs {
		for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
			if status := httpStatus(method, url); status != http.StatusMethodNotAllowed {
				done = append(done, fmt.Sprintf("%s %s: %d", method, url, status))
			}
		}
	}
	return done
}

func reach(name string, kind int) error {
	fd, err := unix.Socket(unix.AF_UNIX, kind, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	to := &unix.SockaddrUnix{Name: name}
	if err := unix.Connect(fd, to); err == nil {
		return nil
	}
	return unix.Sendto(fd, []byte("x"), unix.MSG_DONTWAIT, to)
}

func read(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.IsDir() {
		_, err = f.Readdirnames(1)
		return err
	}
	_, err = f.Read(make([]byte, 1))
	return err
}

// write opens a file for writing, and leaves it as it is; in a folder it makes a file. A program that runs cannot be
// opened, by a user with write permission.
func write(path string) error {
	if unix.Access(path, unix.W_OK) == nil {
		return nil
	}
	flags := os.O_WRONLY
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		path, flags = filepath.Join(path, "intruder"), flags|os.O_CREATE
	}
	f, err := os.OpenFile(path, flags, 0)
	if err != nil {
		return err
	}
	return f.Close()
}

// httpStatus returns the status of the answer, and 0 when there is none.
func httpStatus(method, url string) int {
	q, err := http.NewRequest(method, url, strings.NewReader("state=down"))
	if err != nil {
		return 0
	}
	response, err := http.DefaultClient.Do(q)
	if err != nil {
		return 0
	}
	defer response.Body.Close()
	io.Copy(io.Discard, response.Body)
	return response.StatusCode
}
