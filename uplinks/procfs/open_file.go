package procfs

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// openFile is a file below /proc that is read repeatedly, and stays open meanwhile.
type openFile struct {
	path string
	fd   int // file descriptor, or notOpen
}

const notOpen = -1

// read reads the beginning and returns its length in bytes. The open file of what is deleted, such as a link, can no longer be
// read: another one may have its name.
func (f *openFile) read(buffer []byte, keep bool) int {
	if f.fd != notOpen {
		if n, err := readNow(f.fd, buffer); err == 0 {
			return n
		}
		f.close()
	}
	file, err := unix.Open(f.path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return 0
	}
	f.fd = file
	n, err := unix.Pread(file, buffer, 0)
	if err != nil || !keep {
		f.close()
	}
	return max(0, n)
}

// readNow reads the beginning of a file that never waits: a raw system call does not wake up the monitor of the runtime.
func readNow(fd int, buffer []byte) (int, unix.Errno) {
	n, _, errno := unix.RawSyscall6(unix.SYS_PREAD64, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(buffer))), uintptr(len(buffer)), 0, 0, 0)
	return int(n), errno
}

func (f *openFile) close() {
	if f.fd != notOpen {
		unix.Close(f.fd)
		f.fd = notOpen
	}
}
