package procfs

import "golang.org/x/sys/unix"

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
		if n, err := unix.Pread(f.fd, buffer, 0); err == nil {
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

func (f *openFile) close() {
	if f.fd != notOpen {
		unix.Close(f.fd)
		f.fd = notOpen
	}
}
